import { isDeepStrictEqual } from 'node:util'
import { type AssertionHeader, assertionHeader } from '../assertion/client-assertion.ts'
import type { Clock } from '../base/clock.ts'
import type { DependencyWatch } from '../base/dependency-watch.ts'
import type { ApplicationName, CertificateName } from '../base/ids.ts'
import type { SigningKey } from '../base/signing-key.ts'
import { isTransient } from '../base/transient.ts'
import {
  type Certificate,
  CertificateError,
  type CertificateLocation,
  type CertificateSource,
} from '../certificate/certificate.ts'
import type { CertificateLoaded, CertificatePlace } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Governor } from '../signer/governor.ts'
import type { Signer } from '../signer/signer.ts'
import type { Application } from './application.ts'

/** What an application can sign with: a key version, and the header that names its certificate. */
export interface SigningCredential {
  readonly certificate: CertificateName
  readonly place: CertificatePlace
  readonly key: SigningKey
  readonly header: AssertionHeader
}

/** Where one of a pair is kept, or the only one. */
export interface PlacedLocation extends CertificateLocation {
  readonly place: CertificatePlace
}

export interface ProvenCertificate {
  readonly certificate: CertificateName
  readonly place: CertificatePlace
  readonly key: SigningKey
  readonly notAfterSeconds: number
  /** Where it was found, as it was configured then. */
  readonly location: PlacedLocation
  readonly loaded: Certificate
}

/** The proven certificates of all applications. */
export interface Credentials {
  /**
   * Proves every certificate that is not proven yet: loads it, gets the signer ready, and writes
   * `certificate.loaded`. One that cannot be proven does not keep the others from being tried; what
   * keeps nobody from signing, because the other of its pair is proven, is returned.
   *
   * @param which Absent: all of them.
   * @throws CertificateError | SignerError | LedgerError The gravest of what does: a wrong answer
   *   before none. An answer that speaks against a key is grave, whatever stands beside it.
   */
  prove(which?: (location: PlacedLocation) => boolean): Promise<readonly unknown[]>
  /** Takes over what was proven elsewhere: where such a certificate is to be here too, it is, in the same version. */
  know(proven: readonly ProvenCertificate[]): void
  /** The primary one first; empty until one of them is proven. */
  current(application: ApplicationName): readonly SigningCredential[]
  readonly proven: readonly ProvenCertificate[]
}

interface Failure {
  readonly location: PlacedLocation
  readonly error: unknown
}

export function createCredentials(deps: {
  readonly applications: readonly Application[]
  readonly locations: readonly PlacedLocation[]
  readonly source: CertificateSource
  readonly signer: Signer
  readonly governor: Pick<Governor, 'charge'>
  readonly ledger: Ledger
  readonly clock: Clock
  /** Told what proving found, before anything was signed. */
  readonly vault: DependencyWatch
}): Credentials {
  const proven: ProvenCertificate[] = []
  const current = new Map<ApplicationName, readonly SigningCredential[]>()
  const isProven = (location: PlacedLocation) =>
    proven.some((one) => one.certificate === location.name && one.place === location.place)

  const use = (one: ProvenCertificate) => {
    const { certificate, place, loaded } = one
    proven.push(one)
    for (const application of deps.applications) {
      if (application.certificate !== certificate) continue
      const credential = credentialFrom(application, loaded, place)
      const others = current.get(application.name) ?? []
      current.set(
        application.name,
        place === 'primary' ? [credential, ...others] : [...others, credential],
      )
    }
  }

  const proveOne = async (location: PlacedLocation) => {
    const certificate = await deps.source.load(location)
    deps.governor.charge(certificate.key, 1)
    // After the read and not before it: its ten seconds begin when the vault has answered.
    await deps.signer.prepare(certificate.key).finally(() => {
      deps.governor.charge(certificate.key, 1)
    })
    const { place } = location
    await deps.ledger.append([certificateLoaded(certificate, place, deps.clock.nowMs())])
    const { name, key, notAfterSeconds } = certificate
    use({ certificate: name, place, key, notAfterSeconds, location, loaded: certificate })
  }

  /** One after the other; those of another place are in other vaults, and wait for none of these. */
  const proveAll = async (locations: readonly PlacedLocation[]): Promise<readonly Failure[]> => {
    const failures: Failure[] = []
    for (const location of locations) {
      await proveOne(location).catch((error: unknown) => failures.push({ location, error }))
    }
    return failures
  }

  return {
    prove: async (which = () => true) => {
      const pending = deps.locations.filter((location) => which(location) && !isProven(location))
      if (pending.length === 0) return []
      const byPlace = Map.groupBy(pending, ({ place }) => place)
      const failures = (await Promise.all([...byPlace.values()].map(proveAll))).flat()
      deps.vault.saw(failures.length === 0 ? 'ok' : 'failing')
      const borne = failures.filter(
        ({ location, error }) =>
          !isDisqualifying(error) && proven.some((one) => one.certificate === location.name),
      )
      const grave = failures.filter((failure) => !borne.includes(failure))
      if (grave.length > 0) throw gravestOf(grave)
      return borne.map(({ error }) => error)
    },
    know: (others) => {
      for (const one of others) {
        const isWanted = deps.locations.some((here) => isDeepStrictEqual(here, one.location))
        if (isWanted && !isProven(one.location)) use(one)
      }
    },
    current: (application) => current.get(application) ?? [],
    proven,
  }
}

/** Of a pair of which one may still answer, the wrong answer of the other decides nothing yet. */
function gravestOf(failures: readonly Failure[]): unknown {
  const pairs = [...Map.groupBy(failures, ({ location }) => location.name).values()]
  const decisive = pairs.flatMap((pair) => {
    const errors = pair.map(({ error }) => error)
    const disqualifying = errors.find(isDisqualifying)
    if (disqualifying !== undefined) return [disqualifying]
    return errors.some(isTransient) ? [] : errors
  })
  const transient = failures.find(({ error }) => isTransient(error))
  return decisive[0] ?? transient?.error
}

const isDisqualifying = (error: unknown) => error instanceof CertificateError && error.disqualifying

const credentialFrom = (
  application: Application,
  certificate: Certificate,
  place: CertificatePlace,
): SigningCredential => ({
  certificate: certificate.name,
  place,
  key: certificate.key,
  header: assertionHeader(application.profile, certificate, application.x5c),
})

const certificateLoaded = (
  certificate: Certificate,
  place: CertificatePlace,
  nowMs: number,
): CertificateLoaded => ({
  kind: 'certificate.loaded',
  atMs: nowMs,
  certificate: certificate.name,
  ...(place === 'standby' ? { standby: true } : {}),
  keyId: certificate.key.keyId,
  thumbprintSha256: certificate.thumbprintSha256,
  notAfterSeconds: certificate.notAfterSeconds,
  der: certificate.der.toString('base64'),
})
