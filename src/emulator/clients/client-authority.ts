import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { EmulatorClock } from '../emulator-clock.ts'
import {
  pemFrom,
  signCertificate,
  type CertificateContent,
  type CertificateSigner,
} from '../x509/certificate.ts'
import type { ClientOrder, WrongCertificate } from './client-order.ts'

/** What a client takes to a TLS server. */
export interface ClientCredential {
  /** Its own certificate, then the CA that signed it; the root is left out, as TLS wants it. */
  readonly certificatePem: string
  readonly keyPem: string
}

/** A root and a CA below it that signs certificates of clients, as SPIRE and others do. */
export interface ClientAuthority {
  /** Of the root: what a server trusts. */
  readonly certificatePem: string
  issue(order: ClientOrder): Promise<ClientCredential>
}

const rootSubject = 'CN=Countersign emulator client root'
const issuingSubject = 'CN=Countersign emulator client CA'
const clientAuthentication = '1.3.6.1.5.5.7.3.2'
const serverAuthentication = '1.3.6.1.5.5.7.3.1'
const yearSeconds = 31_536_000

const generate = () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })

interface Authority {
  readonly signer: CertificateSigner
  readonly pem: string
}

export async function createClientAuthority(clock: EmulatorClock): Promise<ClientAuthority> {
  const nowSeconds = clock.nowSeconds()
  const root = await createAuthority(rootSubject, nowSeconds)
  const issuing = await createAuthority(issuingSubject, nowSeconds, root.signer)
  return {
    certificatePem: root.pem,
    issue: (order) => issue(order, issuing, clock.nowSeconds()),
  }
}

async function createAuthority(
  subject: string,
  nowSeconds: number,
  above?: CertificateSigner,
): Promise<Authority> {
  const pair = await generate()
  const signer = { subject, ...pair }
  const content = {
    subject,
    subjectKey: pair.publicKey,
    notBeforeSeconds: nowSeconds - yearSeconds,
    notAfterSeconds: nowSeconds + 10 * yearSeconds,
    keyUsage: ['keyCertSign', 'cRLSign'],
    authority: true,
    extendedKeyUsage: [],
    alternativeNames: [],
  } as const
  return { signer, pem: pemFrom('CERTIFICATE', signCertificate(content, above ?? signer)) }
}

async function issue(
  order: ClientOrder,
  issuing: Authority,
  nowSeconds: number,
): Promise<ClientCredential> {
  const pair = await generate()
  const right = contentOf(order, pair.publicKey, nowSeconds)
  const content = { ...right, ...wrongContent(order.wrong, nowSeconds) }
  const keyPem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const signer = await signerFor(order.wrong, { subject: content.subject, ...pair }, issuing)
  const own = pemFrom('CERTIFICATE', signCertificate(content, signer))
  if (order.wrong !== 'authority-below') return { certificatePem: own + issuing.pem, keyPem }
  // A client's certificate signs another one, as if it were a CA.
  const below = await generate()
  const signed = signCertificate(
    { ...right, subject: 'CN=below', subjectKey: below.publicKey },
    { subject: content.subject, ...pair },
  )
  return {
    certificatePem: pemFrom('CERTIFICATE', signed) + own + issuing.pem,
    keyPem: below.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  }
}

const contentOf = (
  { names, lifetimeSeconds }: ClientOrder,
  subjectKey: KeyObject,
  nowSeconds: number,
): CertificateContent => ({
  subject: 'CN=client',
  subjectKey,
  notBeforeSeconds: nowSeconds - 10,
  notAfterSeconds: nowSeconds + lifetimeSeconds,
  keyUsage: ['digitalSignature'],
  authority: false,
  extendedKeyUsage: [clientAuthentication],
  alternativeNames: names,
})

/** Further off than any skew that a verifier might allow. */
const farOffSeconds = 7200

function wrongContent(
  wrong: WrongCertificate | undefined,
  nowSeconds: number,
): Partial<CertificateContent> {
  switch (wrong) {
    case 'expired':
      return {
        notBeforeSeconds: nowSeconds - 2 * farOffSeconds,
        notAfterSeconds: nowSeconds - farOffSeconds,
      }
    case 'not-yet-valid':
      return {
        notBeforeSeconds: nowSeconds + farOffSeconds,
        notAfterSeconds: nowSeconds + 2 * farOffSeconds,
      }
    case 'no-purpose':
      return { extendedKeyUsage: [] }
    case 'server-purpose':
      return { extendedKeyUsage: [serverAuthentication] }
    case 'signs-certificates':
      return { authority: true, keyUsage: ['digitalSignature', 'keyCertSign'] }
    case 'authority-below':
      // All that a CA has but the one bit that makes it one.
      return { keyUsage: ['digitalSignature', 'keyCertSign'] }
    case 'self-signed':
    case 'other-authority':
    case undefined:
      return {}
  }
}

async function signerFor(
  wrong: WrongCertificate | undefined,
  own: CertificateSigner,
  { signer }: Authority,
): Promise<CertificateSigner> {
  if (wrong === 'self-signed') return own
  if (wrong !== 'other-authority') return signer
  const stranger = await generate()
  return { ...signer, privateKey: stranger.privateKey }
}
