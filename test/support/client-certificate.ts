import { createHash, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { pemFrom, signCertificate } from '../../src/emulator/x509/certificate.ts'

/** A self-signed certificate and its key, as a client that keeps its key in a file has them. */
export interface ClientCertificate {
  readonly der: Buffer
  readonly privateKey: KeyObject
  /** Certificate and PKCS#8 key in one PEM text, as `ClientCertificateCredential` wants it. */
  readonly pem: string
  readonly privateKeyPem: string
  readonly x5t: string
  readonly x5tS256: string
}

/** @param validity Seconds since the epoch; without it from an hour ago to tomorrow. */
export async function createClientCertificate(
  validity: { notBeforeSeconds?: number; notAfterSeconds?: number } = {},
): Promise<ClientCertificate> {
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const nowSeconds = Math.floor(Date.now() / 1000)
  const subject = 'CN=client'
  const der = signCertificate(
    {
      subject,
      subjectKey: pair.publicKey,
      notBeforeSeconds: validity.notBeforeSeconds ?? nowSeconds - 3600,
      notAfterSeconds: validity.notAfterSeconds ?? nowSeconds + 86_400,
      keyUsage: ['digitalSignature'],
      authority: false,
      extendedKeyUsage: [],
      alternativeNames: [],
    },
    { subject, ...pair },
  )
  const privateKeyPem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
  return {
    der,
    privateKey: pair.privateKey,
    privateKeyPem,
    pem: privateKeyPem + pemFrom('CERTIFICATE', der),
    x5t: createHash('sha1').update(der).digest('base64url'),
    x5tS256: createHash('sha256').update(der).digest('base64url'),
  }
}
