import { createHash } from 'node:crypto'
import type { EmulatorClock } from '../emulator-clock.ts'
import { generateRsaKeyPair, publicJwk, type SigningKey } from '../signing-keys.ts'
import { signCertificate } from '../x509/certificate.ts'

const subject = 'CN=accounts.emulated-entra.example'

/** A key as Entra publishes its own: in a self-signed certificate whose SHA-1 is both `kid` and `x5t`. */
export async function generateEntraKey(clock: EmulatorClock): Promise<SigningKey> {
  const pair = await generateRsaKeyPair()
  const der = signCertificate(
    {
      subject,
      subjectKey: pair.publicKey,
      notBeforeSeconds: clock.nowSeconds() - 3600,
      notAfterSeconds: clock.nowSeconds() + 5 * 365 * 86_400,
      keyUsage: ['digitalSignature'],
      authority: false,
      extendedKeyUsage: [],
      alternativeNames: [],
    },
    { subject, ...pair },
  )
  const keyId = createHash('sha1').update(der).digest('base64url')
  const x5c = [der.toString('base64')]
  const jwk = { ...publicJwk(pair.publicKey), use: 'sig', kid: keyId, x5t: keyId, x5c }
  return { keyId, privateKey: pair.privateKey, jwk }
}
