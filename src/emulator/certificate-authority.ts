import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { EmulatorClock } from './emulator-clock.ts'
import { pemFrom, signCertificate } from './x509/certificate.ts'

/** Key and certificate of a TLS server, as `node:tls` takes them. */
export interface ServerCertificate {
  readonly keyPem: string
  readonly certificatePem: string
}

/** Lives as long as the emulator: its key is never written anywhere, so nothing can trust it by habit. */
export interface CertificateAuthority {
  /** What clients must trust; the only part that leaves. */
  readonly certificatePem: string
  /** For localhost, 127.0.0.1 and ::1. */
  issueServerCertificate(): Promise<ServerCertificate>
}

const subject = 'CN=Countersign emulator CA'
const loopbackNames = ['localhost', '127.0.0.1', '::1']
const serverAuthentication = '1.3.6.1.5.5.7.3.1'

/** A TLS client lives in real time: it must accept the certificates however the clock is shifted. */
const validity = (clock: EmulatorClock) => {
  const realSeconds = clock.nowSeconds() - clock.shiftSeconds
  return { notBeforeSeconds: realSeconds - 3600, notAfterSeconds: realSeconds + 30 * 86_400 }
}

const generate = promisify(generateKeyPair)

export async function createCertificateAuthority(
  clock: EmulatorClock,
): Promise<CertificateAuthority> {
  const authority = await generate('ec', { namedCurve: 'P-256' })
  const signer = { subject, ...authority }
  const certificate = signCertificate(
    {
      subject,
      subjectKey: authority.publicKey,
      ...validity(clock),
      keyUsage: ['keyCertSign', 'cRLSign'],
      authority: true,
      extendedKeyUsage: [],
      alternativeNames: [],
    },
    signer,
  )
  return {
    certificatePem: pemFrom('CERTIFICATE', certificate),
    issueServerCertificate: async () => {
      const server = await generate('ec', { namedCurve: 'P-256' })
      const der = signCertificate(
        {
          subject: 'CN=localhost',
          subjectKey: server.publicKey,
          ...validity(clock),
          keyUsage: ['digitalSignature'],
          authority: false,
          extendedKeyUsage: [serverAuthentication],
          alternativeNames: loopbackNames,
        },
        signer,
      )
      return {
        keyPem: server.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        certificatePem: pemFrom('CERTIFICATE', der),
      }
    },
  }
}
