import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { findCallerToken } from './caller-token.ts'
import { requestOptions, type RequestOptions, serviceUrlOf } from './request-options.ts'
import { askService } from './service-client.ts'

interface AssertionOptions extends RequestOptions {
  readonly lifetimeSeconds?: number
  readonly output: 'raw' | 'json'
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
`

export function assertionCommand(): Command {
  return requestOptions(new Command('assertion'))
    .description('Asks the service for a fresh client assertion, with the identity of this CI job.')
    .option('--lifetime-seconds <n>', 'shorter than the grant allows', wholeSeconds)
    .addOption(
      new Option('--output <form>', 'raw: the assertion alone; json: the whole answer')
        .choices(['raw', 'json'])
        .default('raw'),
    )
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
  const environment = readEnvironment().caller
  const url = serviceUrlOf(options, environment)
  const audience = options.audience ?? url
  const callerToken = await findCallerToken(options.tokenFile, audience, environment)
  const { application, tenant, lifetimeSeconds } = options
  const answer = await askService(
    `${url}/v1/assertion`,
    callerToken,
    { post: { application, tenant, lifetimeSeconds } },
    assertionAnswer,
  )
  return options.output === 'raw' ? answer.client_assertion : JSON.stringify(answer)
}
