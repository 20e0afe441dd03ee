import type { EmulatorClock } from '../emulator-clock.ts'
import type { Unconfirmed } from './unconfirmed.ts'
import type { VaultError } from './vault-error.ts'
import type {
  CertificateVersion,
  KeyVersion,
  StoredCertificate,
  StoredKey,
  SecretVersion,
  StoredSecret,
  VaultStore,
} from './vault-store.ts'

/** What the operations of a vault work with. */
export interface VaultContent {
  readonly origin: string
  readonly store: VaultStore
  readonly clock: EmulatorClock
  readonly unconfirmed: Unconfirmed
}

/** An existing key, of a certificate or by itself, in the version that a request means. */
export interface VaultKey {
  readonly kind: 'key'
  readonly stored: StoredKey
  readonly version: KeyVersion
  /** Whether it belongs to a certificate. */
  readonly managed: boolean
}

/** An existing certificate, in the version that a request means. */
export interface VaultCertificate {
  readonly kind: 'certificate'
  readonly stored: StoredCertificate
  readonly version: CertificateVersion
}

/** An existing secret that belongs to no certificate, in the version that a request means. */
export interface VaultSecret {
  readonly kind: 'secret'
  readonly stored: StoredSecret
  readonly version: SecretVersion
}

export type VaultObject = VaultKey | VaultCertificate | VaultSecret

/** How an operation ended: the JSON to answer, or a refusal. */
export type Performed =
  | {
      readonly ok: true
      readonly body: Readonly<Record<string, unknown>>
      /** Of what is done with a key, for the audit record. */
      readonly algorithm?: string
    }
  | { readonly ok: false; readonly error: VaultError }

export const refused = (error: VaultError): Performed => ({ ok: false, error })
