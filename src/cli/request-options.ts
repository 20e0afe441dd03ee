import type { Command } from 'commander'
import type { CallerEnvironment } from '../config/environment.ts'
import { parseBearerUrl } from './bearer-request.ts'

/** What every verb that asks the service needs. */
export interface ServiceOptions {
  readonly url?: string
  readonly audience?: string
  readonly tokenFile?: string
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
    .option('--audience <uri>', 'what a CI platform is asked for; the URL unless said')
    .option('--token-file <file>', "the caller's own token (COUNTERSIGN_TOKEN_FILE)")
}

export const serviceUrlName = 'the URL of the service'

/** @throws Error that says what to set when the service is not named, or no token may be sent there. */
export function serviceUrlOf(
  options: Pick<ServiceOptions, 'url'>,
  environment: CallerEnvironment,
): string {
  const url = options.url ?? environment.url
  if (url === undefined) throw new Error('give --url URL or set COUNTERSIGN_URL')
  parseBearerUrl(url, serviceUrlName)
  return url.replace(/\/+$/, '')
}
