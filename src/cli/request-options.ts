import type { Command } from 'commander'
import type { CallerEnvironment } from '../config/environment.ts'

/** What `token` and `assertion` both ask for. */
export interface RequestOptions {
  readonly application: string
  readonly tenant: string
  readonly url?: string
  readonly audience?: string
  readonly tokenFile?: string
}

export function requestOptions(command: Command): Command {
  return command
    .requiredOption('--application <name>', 'name of the application at the service')
    .requiredOption('--tenant <guid>', 'where the token is wanted')
    .option('--url <url>', 'of the service (COUNTERSIGN_URL)')
    .option('--audience <uri>', 'what a CI platform is asked for; the URL unless said')
    .option('--token-file <file>', "the caller's own token (COUNTERSIGN_TOKEN_FILE)")
}

/** @throws Error that says what to set when the service is not named, or named so that it cannot be reached. */
export function serviceUrlOf(options: RequestOptions, environment: CallerEnvironment): string {
  const url = options.url ?? environment.url
  if (url === undefined) throw new Error('give --url URL or set COUNTERSIGN_URL')
  if (!URL.canParse(url)) throw new Error('the URL of the service is not a URL')
  return url.replace(/\/+$/, '')
}
