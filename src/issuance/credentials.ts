import { type AssertionHeader, assertionHeader } from '../assertion/client-assertion.ts'
import type { Clock } from '../base/clock.ts'
import type { ApplicationName, CertificateName } from '../base/ids.ts'
import type { SigningKey } from '../base/signing-key.ts'
import type {
  Certificate,
  CertificateLocation,
  CertificateSource,
} from '../certificate/certificate.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Signer } from '../signer/signer.ts'
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
   * `certificate.loaded`. Stops at the first that fails; those before it stay proven.
   *
   * @throws CertificateError | SignerError | LedgerError
   */
  prove(): Promise<void>
  /** Undefined until the application's certificate is proven. */
  current(application: ApplicationName): SigningCredential | undefined
}

export function createCredentials(deps: {
  readonly applications: readonly Application[]
  readonly locations: readonly CertificateLocation[]
  readonly source: CertificateSource
  readonly signer: Signer
  readonly ledger: Ledger
  readonly clock: Clock
}): Credentials {
  const proven = new Set<CertificateName>()
  const current = new Map<ApplicationName, SigningCredential>()

  const proveOne = async (location: CertificateLocation) => {
    const certificate = await deps.source.load(location)
    await deps.signer.prepare(certificate.key)
    await deps.ledger.append([certificateLoaded(certificate, deps.clock.nowMs())])
    for (const application of deps.applications) {
      if (application.certificate !== location.name) continue
      const header = assertionHeader(application.profile, certificate, application.x5c)
      current.set(application.name, { key: certificate.key, header })
    }
    proven.add(location.name)
  }

  return {
    prove: async () => {
      for (const location of deps.locations) {
        if (!proven.has(location.name)) await proveOne(location)
      }
    },
    current: (application) => current.get(application),
  }
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
