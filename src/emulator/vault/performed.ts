import type { EmulatorClock } from '../emulator-clock.ts'
import type { Unconfirmed } from './unconfirmed.ts'
import type { VaultError } from './vault-error.ts'
import type { CertificateVersion, StoredCertificate, VaultStore } from './vault-store.ts'

/** What the operations of a vault work with. */
export interface VaultContent {
  readonly origin: string
  readonly store: VaultStore
  readonly clock: EmulatorClock
  readonly unconfirmed: Unconfirmed
}

/** An existing object, in the version that a request means. */
export interface VaultObject {
  readonly certificate: StoredCertificate
  readonly version: CertificateVersion
}

/** How an operation ended: the JSON to answer, or a refusal. */
export type Performed =
  | {
      readonly ok: true
      readonly body: Readonly<Record<string, unknown>>
      /** Of signatures, for the audit record. */
      readonly algorithm?: string
    }
  | { readonly ok: false; readonly error: VaultError }

export const refused = (error: VaultError): Performed => ({ ok: false, error })
