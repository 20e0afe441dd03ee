import { Command, Option } from 'commander'
import { z } from 'zod'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { findCallerToken } from './caller-token.ts'
import { requestOptions, type RequestOptions, serviceUrlOf } from './request-options.ts'
import { askService } from './service-client.ts'

interface TokenOptions extends RequestOptions {
  readonly scope: string
  readonly output: 'raw' | 'json'
}

const tokenAnswer = z.object({
  access_token: z.string(),
  token_type: z.string(),
  expires_in: z.number(),
  attempt: z.string(),
})

const example = `
Example:
  $ export COUNTERSIGN_URL=https://countersign.contoso.example COUNTERSIGN_TOKEN_FILE=/var/run/secrets/tokens/countersign
  $ countersign token --application events --tenant fab00000-0000-4000-8000-000000000002 --scope https://orders.example/.default
`

export function tokenCommand(): Command {
  return requestOptions(new Command('token'))
    .description('Asks the service for an access token, with the identity that this process has.')
    .requiredOption('--scope <scope>', 'one resource and /.default')
    .addOption(
      new Option('--output <form>', 'raw: the token alone; json: the whole answer')
        .choices(['raw', 'json'])
        .default('raw'),
    )
    .addHelpText('after', example)
    .action(async (options: TokenOptions, command: Command) => {
      try {
        console.log(await tokenText(options))
      } catch (error) {
        const redact = createRedaction(readSecrets())
        command.error(redact(`token: ${error instanceof Error ? error.message : String(error)}`))
      }
    })
}

async function tokenText(options: TokenOptions): Promise<string> {
  const environment = readEnvironment().caller
  const url = serviceUrlOf(options, environment)
  const audience = options.audience ?? url
  const callerToken = await findCallerToken(options.tokenFile, audience, environment)
  const { application, tenant, scope } = options
  const answer = await askService(
    `${url}/v1/token`,
    callerToken,
    { post: { application, tenant, scope } },
    tokenAnswer,
  )
  return options.output === 'raw' ? answer.access_token : JSON.stringify(answer)
}
