import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import {
  signCertificate,
  type CertificateContent,
  type CertificateSigner,
} from '../../src/emulator/x509/certificate.ts'

/** A certificate with the key that can sign others, whether or not it is one of a CA. */
export interface Signed {
  readonly certificate: X509Certificate
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly subject: string
}

export const clientAuthentication = '1.3.6.1.5.5.7.3.2'
export const serverAuthentication = '1.3.6.1.5.5.7.3.1'

type KeyPair = Pick<CertificateSigner, 'privateKey' | 'publicKey'>

const newKeys = (): KeyPair => generateKeyPairSync('ec', { namedCurve: 'P-256' })

const validity = () => {
  const nowSeconds = Math.floor(Date.now() / 1000)
  return { notBeforeSeconds: nowSeconds - 3600, notAfterSeconds: nowSeconds + 3600 }
}

/** @param by Absent: by itself. */
export function authority(
  subject: string,
  by?: CertificateSigner,
  changes: Partial<CertificateContent> = {},
  keys: KeyPair = newKeys(),
): Signed {
  const content = { keyUsage: ['keyCertSign'], authority: true, ...changes } as const
  return signed(subject, keys, by, content)
}

export function client(
  by: CertificateSigner,
  changes: Partial<CertificateContent> = {},
  keys: KeyPair = newKeys(),
): Signed {
  const extendedKeyUsage = [clientAuthentication]
  return signed('CN=client', keys, by, { extendedKeyUsage, ...changes })
}

function signed(
  subject: string,
  keys: KeyPair,
  by: CertificateSigner | undefined,
  changes: Partial<CertificateContent>,
): Signed {
  const content: CertificateContent = {
    subject,
    subjectKey: keys.publicKey,
    ...validity(),
    keyUsage: ['digitalSignature'],
    authority: false,
    extendedKeyUsage: [],
    alternativeNames: ['spiffe://fabrikam.example/billing'],
    ...changes,
  }
  const der = signCertificate(content, by ?? { subject, ...keys })
  return { ...keys, subject: content.subject, certificate: new X509Certificate(der) }
}
