import type { CertificateName } from '../base/ids.ts'
import type { SigningKey } from '../base/signing-key.ts'

/** One version of a Key Vault certificate, proven to belong to the key version of the same name. */
export interface Certificate {
  readonly name: CertificateName
  readonly key: SigningKey
  /** DER of the certificate itself, without its chain. */
  readonly der: Buffer
  /** base64url of SHA-1 over the DER (`x5t`, RFC 7515 §4.1.7). */
  readonly thumbprintSha1: string
  /** base64url of SHA-256 over the DER (`x5t#S256`, RFC 7515 §4.1.8): Key Vault does not tell it. */
  readonly thumbprintSha256: string
  readonly notAfterSeconds: number
}

/** Where a certificate is kept. */
export interface CertificateLocation {
  readonly name: CertificateName
  /** `https://{vault}`, without a path. */
  readonly vaultUrl: string
  /** Of the certificate in that vault. */
  readonly vaultCertificateName: string
  /**
   * False accepts a key that software holds. A key that may be exported, or used for more than sign
   * and verify, is refused either way.
   */
  readonly requireHsm: boolean
}

/** How the ids of all key versions of the certificate begin, in lower case: names have no case in a vault. */
export const keyIdsBegin = ({
  vaultUrl,
  vaultCertificateName,
}: Pick<CertificateLocation, 'vaultUrl' | 'vaultCertificateName'>): string =>
  `${vaultUrl}/keys/${vaultCertificateName}/`.toLowerCase()

/** Reads the certificate and key interfaces of a vault; never the secret interface. */
export interface CertificateSource {
  /**
   * The current version, proven: readable, within its validity, key and certificate match, and the
   * key is held as {@link CertificateLocation.requireHsm} says.
   *
   * @throws CertificateError
   */
  load(location: CertificateLocation): Promise<Certificate>
}

/** One code for each thing that an operator would do differently. */
export type CertificateErrorCode =
  | 'CERTIFICATE_UNREACHABLE' // no answer: wait and try again
  | 'CERTIFICATE_CREDENTIAL' // no token for the vault
  | 'CERTIFICATE_FORBIDDEN' // needs certificates/read and keys/read
  | 'CERTIFICATE_MISSING'
  | 'CERTIFICATE_DISABLED'
  | 'CERTIFICATE_OUTSIDE_VALIDITY'
  | 'CERTIFICATE_NOT_RSA' // or smaller than 2048 bits
  | 'CERTIFICATE_KEY_MISMATCH'
  | 'CERTIFICATE_KEY_NOT_IN_HSM'
  | 'CERTIFICATE_KEY_EXPORTABLE'
  | 'CERTIFICATE_KEY_HAS_OTHER_USES'
  | 'CERTIFICATE_KEY_CANNOT_SIGN'
  | 'CERTIFICATE_UNRECOGNISED' // an answer that this table does not know

export class CertificateError extends Error {
  override readonly name = 'CertificateError'
  readonly code: CertificateErrorCode
  readonly certificate: CertificateName

  constructor(code: CertificateErrorCode, certificate: CertificateName, options?: ErrorOptions) {
    super(`${code}: ${certificate}`, options)
    this.code = code
    this.certificate = certificate
  }

  /** Whether the answer speaks against the key itself, and not only against using it now. */
  get disqualifying(): boolean {
    return disqualifyingCodes.has(this.code)
  }

  /** Whether the vault gave no answer, so that asking again is the right thing to do. */
  get transient(): boolean {
    return this.code === 'CERTIFICATE_UNREACHABLE' || this.code === 'CERTIFICATE_CREDENTIAL'
  }
}

const disqualifyingCodes = new Set<CertificateErrorCode>([
  'CERTIFICATE_NOT_RSA',
  'CERTIFICATE_KEY_MISMATCH',
  'CERTIFICATE_KEY_NOT_IN_HSM',
  'CERTIFICATE_KEY_EXPORTABLE',
  'CERTIFICATE_KEY_HAS_OTHER_USES',
  'CERTIFICATE_KEY_CANNOT_SIGN',
])
