import { createHash, X509Certificate, type KeyObject } from 'node:crypto'

/** A certificate as an application's registration holds it: public, and known by its thumbprints. */
export interface RegisteredCertificate {
  readonly publicKey: KeyObject
  /** base64url of the SHA-1 and SHA-256 of the DER. */
  readonly x5t: string
  readonly x5tS256: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Which certificates may sign the assertions of which application. A vault's new version is not among them by itself. */
export interface ApplicationCertificates {
  registered(application: string): readonly RegisteredCertificate[]
  /** @throws RangeError where the bytes are no certificate with an RSA key of 2048 bits or more. */
  register(application: string, der: Buffer): RegisteredCertificate
  /** @returns whether there was one with that SHA-256 thumbprint (base64url). */
  unregister(application: string, x5tS256: string): boolean
}

export function createApplicationCertificates(): ApplicationCertificates {
  const registrations = new Map<string, readonly RegisteredCertificate[]>()
  const registered = (application: string) => registrations.get(application) ?? []
  return {
    registered,
    register: (application, der) => {
      const certificate = registeredCertificateFrom(der)
      const others = registered(application).filter(
        ({ x5tS256 }) => x5tS256 !== certificate.x5tS256,
      )
      registrations.set(application, [...others, certificate])
      return certificate
    },
    unregister: (application, x5tS256) => {
      const before = registered(application)
      const left = before.filter((certificate) => certificate.x5tS256 !== x5tS256)
      registrations.set(application, left)
      return left.length < before.length
    },
  }
}

function registeredCertificateFrom(der: Buffer): RegisteredCertificate {
  const { publicKey, validFromDate, validToDate } = parseCertificate(der)
  const modulusBits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
  if (publicKey.asymmetricKeyType !== 'rsa' || modulusBits < 2048) {
    throw new RangeError('an application certificate needs an RSA key of at least 2048 bits')
  }
  return {
    publicKey,
    x5t: createHash('sha1').update(der).digest('base64url'),
    x5tS256: createHash('sha256').update(der).digest('base64url'),
    notBeforeMs: validFromDate.getTime(),
    notAfterMs: validToDate.getTime(),
  }
}

function parseCertificate(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch (cause) {
    throw new RangeError('not a DER certificate', { cause })
  }
}
