// Where people sign in, as one configuration says: a part of the wiring that a reload makes anew.
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from './base/clock.ts'
import { Secret } from './base/secret.ts'
import { sha256Base64url } from './base/sha256.ts'
import { readTextFile } from './base/text-file.ts'
import { clientSecretLengthMin } from './config/audit.ts'
import type { AuditConfig, Config } from './config/config.ts'
import { type PeopleDeps, signedInPath } from './http/audit-page.ts'
import { createCookieSeal } from './sign-in/cookie-seal.ts'

/** Where people sign in, who of them may look, and what their browsers keep. */
export interface People extends PeopleDeps {
  /** What it was made of. */
  readonly basis: Basis
  close(): Promise<void>
}

interface Basis {
  readonly publicUrl: string
  readonly oidc: AuditConfig['oidc']
  readonly clientSecretSha256: string | undefined
}

/**
 * Where nothing about it has changed, those from before, so that whoever is signed in stays so. Otherwise nobody is: the
 * issuer is asked about everybody anew, and they are judged by what is required now.
 *
 * Those from before are not closed, because somebody may be on the way back to them: their connections end by themselves
 * when nothing is asked any more.
 *
 * @returns Undefined where nobody signs in. What it takes is loaded only then.
 * @throws Error when the client secret cannot be read, or is none any more.
 */
export async function peopleBy(
  { audit, publicUrl, listen }: Pick<Config, 'audit' | 'publicUrl' | 'listen'>,
  before: People | undefined,
  clock: Clock,
): Promise<People | undefined> {
  if (audit === undefined) return undefined
  const { issuer, clientId, clientSecretFile, rules } = audit.oidc
  const clientSecret =
    clientSecretFile === undefined ? undefined : await clientSecretIn(clientSecretFile)
  const clientSecretSha256 = clientSecret && sha256Base64url(clientSecret.reveal())
  const basis = { publicUrl, oidc: audit.oidc, clientSecretSha256 }
  if (before !== undefined && isDeepStrictEqual(before.basis, basis)) return before
  const { createOpenIdSignIn } = await import('./sign-in/openid-sign-in.ts')
  const signIn = createOpenIdSignIn({
    issuer,
    clientId,
    clientSecret,
    redirectUri: `${publicUrl}${signedInPath}`,
    rules,
    clock,
  })
  // Replicas open what others have sealed by the same, and by nothing else.
  const context = JSON.stringify([publicUrl, issuer, clientId, rules])
  return {
    basis,
    signIn,
    seal: createCookieSeal(clientSecret, context),
    addresses: listen.connectionsPerAddressMax === undefined ? 'of-everybody' : 'of-somebody',
    close: () => signIn.close(),
  }
}

/**
 * Read again here, behind the check of the configuration: somebody may have emptied it since.
 *
 * @throws Error that names the setting, and not what is in the file.
 */
export async function clientSecretIn(file: string): Promise<Secret<string>> {
  const reading = await readTextFile(file)
  if (!reading.ok) throw new Error(`audit.oidc.clientSecretFile cannot be read. ${reading.fault}`)
  const secret = reading.text.trim()
  if (secret.length >= clientSecretLengthMin) return new Secret(secret)
  throw new Error('audit.oidc.clientSecretFile does not hold a client secret any more.')
}
