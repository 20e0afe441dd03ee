import { z } from 'zod'
import { fileOf } from '../product.ts'
import { run, runVerb } from './child-process.ts'
import { cast, type DemoCloud } from './cloud.ts'
import type { DemoConfiguration } from './configuration.ts'

/** Where an act plays, and how it speaks. */
export interface Stage {
  readonly cloud: DemoCloud
  readonly configuration: DemoConfiguration
  readonly say: (line: string) => void
}

const sdkProgram = fileOf('examples/azure-sdk/exchange-assertion.mjs')

/** An act that did not happen ends the demo. */
function insist(happened: boolean, what: string): asserts happened {
  if (!happened) throw new Error(`this should have happened and did not: ${what}`)
}

/** What was done, how it ended, and what came of it. */
const step = (done: string, ended: string | number, result: string) =>
  `   ${done.padEnd(30)} ${String(ended).padStart(3)}  ${result}`

const title = ({ say }: Stage, text: string) => {
  say('')
  say(text)
}

/** A workload of another tenant, with the identity that its platform gives it, calls an API. */
export async function workloadAct(stage: Stage): Promise<void> {
  const { cloud, configuration, say } = stage
  title(stage, '1  A workload in the tenant fabrikam, with nothing but its managed identity')
  const callerToken = await cloud.workloadToken('fabrikam-orders', cast.publicUrl)
  const { status, body } = await askToken(configuration.url, callerToken, cast.fabrikam)
  const answer = tokenAnswer.parse(body)
  insist(status === 200, 'the workload gets a token')
  const attempt = answer.attempt
  say(step('POST /v1/token', status, `a token for ${answer.expires_in} s, attempt ${attempt}`))

  const orders = await fetch(cloud.endpoints.sampleResource, {
    headers: { authorization: `Bearer ${answer.access_token}` },
  })
  insist(orders.status === 200, 'the API accepts the token')
  const seen = ordersAnswer.parse(await orders.json()).askedBy
  say(step('GET  https://orders.example', 200, `the API saw the tenant ${seen.tenant}`))

  const again = await askToken(configuration.url, callerToken, cast.fabrikam)
  insist(tokenAnswer.parse(again.body).access_token === answer.access_token, 'the cache answers')
  say(step('POST /v1/token', 200, 'the same token, from the cache: nothing was signed'))
}

/** A CI job gets an assertion, and an Azure SDK that knows nothing of us exchanges it. */
export async function pipelineAct(stage: Stage): Promise<void> {
  const { cloud, configuration, say } = stage
  title(stage, '2  A CI job, with its pipeline token and an unmodified Azure SDK')
  const job = await cloud.startJob(mainBranch)
  const assertion = await runVerb(
    [
      'assertion',
      '--application',
      'deploy',
      '--tenant',
      cast.fabrikam,
      '--audience',
      cast.publicUrl,
      '--url',
      configuration.url,
    ],
    jobVariables(stage, job),
  )
  insist(assertion.code === 0, `the job gets an assertion\n${assertion.stderr}`)
  const clientAssertion = assertion.stdout.trim()
  say(step('countersign assertion', 0, `${clientAssertion.slice(0, 24)}… for 300 s`))

  const exchanged = await run([sdkProgram], {
    NODE_EXTRA_CA_CERTS: cloud.endpoints.caFile,
    AZURE_AUTHORITY_HOST: cloud.endpoints.authority,
    AZURE_TENANT_ID: cast.fabrikam,
    AZURE_CLIENT_ID: cast.deployClientId,
    CLIENT_ASSERTION: clientAssertion,
    SCOPE: cast.eventHubsScope,
  })
  insist(exchanged.code === 0, `@azure/identity exchanges the assertion\n${exchanged.stderr}`)
  const seen = exchangedAnswer.parse(JSON.parse(exchanged.stdout))
  insist(seen.tid === cast.fabrikam, 'the token is one of fabrikam')
  say(step('@azure/identity getToken()', 'ok', `a token for ${seen.aud}`))
}

/** A job of another branch asks for the same, and is told no and why. */
export async function strangerAct(stage: Stage): Promise<void> {
  const { cloud, configuration, say } = stage
  title(stage, '3  A job of a branch that no grant names')
  const job = await cloud.startJob({ ...mainBranch, ref: 'refs/heads/feature' })
  const callerToken = await jobToken(job)
  const { status, body } = await askToken(configuration.url, callerToken, cast.fabrikam)
  insist(status === 403, 'the stranger is refused')
  const problem = problemAnswer.parse(body)
  say(step('POST /v1/token', status, problem.code))
  for (const sentence of problem.detail.split(/(?<=\.) /)) say(step('', '', sentence))
}

/** The auditor's two logs agree, until somebody uses the key past the service. */
export async function auditorAct(stage: Stage): Promise<void> {
  const { cloud, say } = stage
  title(stage, '4  The security team, with the ledger and the log of the vault')
  const before = await reconcile(stage)
  insist(before.code === 0, `ledger and vault log agree\n${before.stdout}${before.stderr}`)
  say(step('countersign reconcile', 0, verdictOf(before.stdout)))

  await cloud.signDirectly('build-agent', 'contoso-hsm', 'partner-signing')
  say('   … then somebody signs with the key, past the service …')
  const after = await reconcile(stage)
  insist(after.code === 1, `the signature is found\n${after.stdout}${after.stderr}`)
  const finding = findingOf(after.stdout)
  insist(
    finding.includes('nightly-build/2.1'),
    `the finding says with what it was made\n${finding}`,
  )
  say(step('countersign reconcile', 1, verdictOf(after.stdout)))
  say(finding)
}

const verdictOf = (report: string) => report.split('\n')[0] ?? ''

/** From the name of the finding to its last line of evidence, as the report shows it. */
function findingOf(report: string): string {
  const found = /^sign\.unexplained\n(?: {2}.*\n)+/m.exec(report)
  insist(found !== null, `the finding has its name\n${report}`)
  return found[0].trimEnd().replaceAll(/^/gm, '     ')
}

const reconcile = ({ cloud, configuration }: Stage) =>
  runVerb([
    'reconcile',
    '--ledger',
    configuration.ledgerFile,
    '--vault-log',
    cloud.endpoints.vaultLogFolder,
    '--grace-minutes',
    '0',
  ])

const mainBranch = {
  repository_owner_id: '9870',
  repository_id: '123456',
  ref: 'refs/heads/main',
} as const

interface Job {
  readonly requestUrl: string
  readonly requestToken: string
}

/** What a runner sets. */
const jobVariables = ({ cloud }: Stage, job: Job) => ({
  ACTIONS_ID_TOKEN_REQUEST_URL: job.requestUrl,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: job.requestToken,
  NODE_EXTRA_CA_CERTS: cloud.endpoints.caFile,
})

async function jobToken(job: Job): Promise<string> {
  const response = await fetch(`${job.requestUrl}&audience=${encodeURIComponent(cast.publicUrl)}`, {
    headers: { authorization: `Bearer ${job.requestToken}` },
  })
  return z.object({ value: z.string() }).parse(await response.json()).value
}

async function askToken(
  url: string,
  callerToken: string,
  tenant: string,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${url}/v1/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${callerToken}` },
    body: JSON.stringify({ application: 'events', tenant, scope: cast.ordersScope }),
  })
  return { status: response.status, body: await response.json() }
}

const tokenAnswer = z.object({
  access_token: z.string(),
  expires_in: z.number(),
  attempt: z.string(),
})
const ordersAnswer = z.object({
  askedBy: z.object({ tenant: z.string(), application: z.string() }),
})
const exchangedAnswer = z.object({ aud: z.string(), tid: z.string() })
const problemAnswer = z.object({ code: z.string(), detail: z.string() })
