import { generateKeyPairSync } from 'node:crypto'
import { pemFrom, signCertificate } from '../../src/emulator/x509/certificate.ts'

/** PEM of a key and a certificate of one host, and of no other name, that is its own authority. */
export function createLoopbackTls(host = '127.0.0.1'): {
  readonly key: string
  readonly cert: string
} {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nowSeconds = Math.floor(Date.now() / 1000)
  const subject = 'CN=loopback'
  const der = signCertificate(
    {
      subject,
      subjectKey: pair.publicKey,
      notBeforeSeconds: nowSeconds - 3600,
      notAfterSeconds: nowSeconds + 3600,
      keyUsage: ['digitalSignature', 'keyCertSign'],
      authority: true,
      extendedKeyUsage: [],
      alternativeNames: [host],
    },
    { subject, ...pair },
  )
  const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
  return { key, cert: pemFrom('CERTIFICATE', der) }
}
