import { Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { answerText, outputOption, type OutputForm } from './answer-output.ts'
import { askedService, requestOptions, type RequestOptions } from './request-options.ts'
import { askService } from './service-client.ts'

interface AssertionOptions extends RequestOptions {
  readonly lifetimeSeconds?: number
  readonly output: OutputForm
}

const assertionAnswer = z.object({
  client_assertion: z.string(),
  client_assertion_type: z.string(),
  client_id: z.string(),
  token_endpoint: z.string(),
  expires_in: z.number(),
  attempt: z.string(),
})

const example = `
Example, in a CI job:
  $ az login --service-principal -u CLIENT_ID -t TENANT --federated-token \\
      "$(countersign assertion --application deploy --tenant TENANT)"

With --output env it prints COUNTERSIGN_CLIENT_ASSERTION, COUNTERSIGN_CLIENT_ID, COUNTERSIGN_TOKEN_ENDPOINT and
the other members of the answer, for
  $ eval "$(countersign assertion --output env …)"
`

export function assertionCommand(): Command {
  return requestOptions(new Command('assertion'))
    .description('Asks the service for a fresh client assertion, with the identity of this CI job.')
    .option('--lifetime-seconds <n>', 'shorter than the grant allows', wholeSeconds)
    .addOption(outputOption('assertion'))
    .addHelpText('after', example)
    .action(async (options: AssertionOptions, command: Command) => {
      try {
        console.log(await assertionText(options))
      } catch (error) {
        const redact = createRedaction(readSecrets())
        command.error(
          redact(`assertion: ${error instanceof Error ? error.message : String(error)}`),
        )
      }
    })
}

function wholeSeconds(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('a whole number of seconds')
}

async function assertionText(options: AssertionOptions): Promise<string> {
  const { application, tenant, lifetimeSeconds, output } = options
  const answer = await askService(
    await askedService(options, readEnvironment().caller),
    '/v1/assertion',
    { post: { application, tenant, lifetimeSeconds } },
    assertionAnswer,
  )
  return answerText(output, answer, answer.client_assertion)
}
