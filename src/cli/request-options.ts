import type { Command } from 'commander'
import { parseBearerUrl } from '../base/bearer-url.ts'
import type { CallerEnvironment } from '../config/environment.ts'
import { type CredentialOptions, findCredential } from './caller-credential.ts'
import type { AskedAudience } from './caller-token.ts'
import { type AskedService, serviceUrlName } from './service-client.ts'

/** What every verb that asks the service needs. */
export interface ServiceOptions extends CredentialOptions {
  readonly url?: string
  readonly publicUrl?: string
  readonly audience?: string
}

/** What `token` and `assertion` both ask for. */
export interface RequestOptions extends ServiceOptions {
  readonly application: string
  readonly tenant: string
}

export function requestOptions(command: Command): Command {
  return serviceOptions(
    command
      .requiredOption('--application <name>', 'name of the application at the service')
      .requiredOption('--tenant <guid>', 'where the token is wanted'),
  )
}

export function serviceOptions(command: Command): Command {
  return command
    .option('--url <url>', 'of the service, https or on loopback (COUNTERSIGN_URL)')
    .option('--public-url <url>', 'what the service calls itself, if you reach it by another URL')
    .option('--audience <uri>', 'what a CI platform is asked for; the public URL unless said')
    .option('--token-file <file>', "the caller's own token (COUNTERSIGN_TOKEN_FILE)")
    .option('--certificate <file>', 'PEM of a client certificate: the proof instead of a token')
    .option('--key <file>', 'PEM of its key')
    .option('--dpop-key <file>', 'PEM of the private key that the token is bound to (DPoP)')
}

/** The service that the options name, with what the caller proves itself with. @throws Error in one sentence. */
export async function askedService(
  options: ServiceOptions,
  environment: CallerEnvironment,
): Promise<AskedService> {
  const named = namedService(options, environment)
  return { ...named, credential: await findCredential(options, named, environment) }
}

/** @throws Error that says what to set when the service is not named, or no token may be sent there. */
export function namedService(
  { url: named, publicUrl, audience }: Pick<ServiceOptions, 'url' | 'publicUrl' | 'audience'>,
  environment: CallerEnvironment,
): AskedAudience & { readonly url: string } {
  const url = named ?? environment.url
  if (url === undefined) throw new Error('give --url URL or set COUNTERSIGN_URL')
  parseBearerUrl(url, serviceUrlName)
  return {
    url: withoutSlash(url),
    publicUrl: withoutSlash(publicUrl ?? url),
    ...(audience === undefined ? {} : { audience }),
  }
}

const withoutSlash = (url: string) => url.replace(/\/+$/, '')
