import { Command } from 'commander'
import { z } from 'zod'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { answerText, outputOption, type OutputForm } from './answer-output.ts'
import { askedService, requestOptions, type RequestOptions } from './request-options.ts'
import { askService } from './service-client.ts'

interface TokenOptions extends RequestOptions {
  readonly scope: string
  readonly output: OutputForm
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
  $ countersign token --certificate workload.pem --key workload.key --application events …

With --output env it prints COUNTERSIGN_ACCESS_TOKEN and the other members of the answer, for
  $ eval "$(countersign token --output env …)"
`

export function tokenCommand(): Command {
  return requestOptions(new Command('token'))
    .description('Asks the service for an access token, with the identity that this process has.')
    .requiredOption('--scope <scope>', 'one resource and /.default')
    .addOption(outputOption('token'))
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
  const { application, tenant, scope, output } = options
  const answer = await askService(
    await askedService(options, readEnvironment().caller),
    '/v1/token',
    { post: { application, tenant, scope } },
    tokenAnswer,
  )
  return answerText(output, answer, answer.access_token)
}
