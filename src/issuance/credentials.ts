import { type AssertionHeader, assertionHeader } from '../assertion/client-assertion.ts'
import type { Clock } from '../base/clock.ts'
import type { DependencyWatch } from '../base/dependency-watch.ts'
import type { ApplicationName, CertificateName } from '../base/ids.ts'
import type { SigningKey } from '../base/signing-key.ts'
import {
  type Certificate,
  CertificateError,
  type CertificateLocation,
  type CertificateSource,
} from '../certificate/certificate.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Governor } from '../signer/governor.ts'
import { type Signer, SignerError } from '../signer/signer.ts'
import type { Application } from './application.ts'

/** What an application signs with now: the key version, and the header that names its certificate. */
export interface SigningCredential {
  readonly key: SigningKey
  readonly header: AssertionHeader
}

/** The proven certificates of all applications. */
export interface Credentials {
  /**
   * Proves every certificate that is not proven yet: loads it, gets the signer ready, and writes
   * `certificate.loaded`. One that cannot be proven does not keep the others from being tried.
   *
   * @throws CertificateError | SignerError | LedgerError The gravest: a wrong answer before none.
   */
  prove(): Promise<void>
  /** Undefined until the application's certificate is proven. */
  current(application: ApplicationName): SigningCredential | undefined
  /** When each proven certificate ends, seconds. */
  readonly ends: ReadonlyMap<CertificateName, number>
}

export function createCredentials(deps: {
  readonly applications: readonly Application[]
  readonly locations: readonly CertificateLocation[]
  readonly source: CertificateSource
  readonly signer: Signer
  readonly governor: Pick<Governor, 'charge'>
  readonly ledger: Ledger
  readonly clock: Clock
  /** Told what proving found, before anything was signed. */
  readonly vault: DependencyWatch
}): Credentials {
  const ends = new Map<CertificateName, number>()
  const current = new Map<ApplicationName, SigningCredential>()

  const proveOne = async (location: CertificateLocation) => {
    const certificate = await deps.source.load(location)
    deps.governor.charge(certificate.key, 1)
    // After the read and not before it: its ten seconds begin when the vault has answered.
    await deps.signer.prepare(certificate.key).finally(() => {
      deps.governor.charge(certificate.key, 1)
    })
    await deps.ledger.append([certificateLoaded(certificate, deps.clock.nowMs())])
    for (const application of deps.applications) {
      if (application.certificate !== location.name) continue
      const header = assertionHeader(application.profile, certificate, application.x5c)
      current.set(application.name, { key: certificate.key, header })
    }
    ends.set(location.name, certificate.notAfterSeconds)
  }

  return {
    prove: async () => {
      const failures: unknown[] = []
      for (const location of deps.locations.filter(({ name }) => !ends.has(name))) {
        await proveOne(location).catch((error: unknown) => failures.push(error))
      }
      deps.vault.saw(failures.length === 0 ? 'ok' : 'failing')
      if (failures.length > 0) throw failures.find((error) => !isTransient(error)) ?? failures[0]
    },
    current: (application) => current.get(application),
    ends,
  }
}

/** Whether the vault or the credential gave no answer, so that asking again is the right thing to do. */
export function isTransient(error: unknown): boolean {
  if (error instanceof CertificateError) return error.transient
  return error instanceof SignerError && error.transient
}

const certificateLoaded = (certificate: Certificate, nowMs: number) =>
  ({
    kind: 'certificate.loaded',
    atMs: nowMs,
    certificate: certificate.name,
    keyId: certificate.key.keyId,
    thumbprintSha256: certificate.thumbprintSha256,
    notAfterSeconds: certificate.notAfterSeconds,
    der: certificate.der.toString('base64'),
  }) as const
