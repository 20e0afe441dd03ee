import { Command, Option } from 'commander'
import { z } from 'zod'
import { isoTimeFrom } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { CommandError } from './command-error.ts'
import { askedService, type ServiceOptions, serviceOptions } from './request-options.ts'
import { type AskedService, askService } from './service-client.ts'

interface RevokeOptions extends ServiceOptions {
  readonly caller?: string
  readonly grant?: string
  readonly issuer?: string
  readonly application?: string
  readonly tenant?: string
  readonly keyVersion?: string
  readonly lift?: string
  readonly list?: true
  readonly reason?: string
  readonly socket?: string
  readonly lockout: 'refuse' | 'accept'
  readonly output: 'text' | 'json'
}

const personForm = z.object({ issuer: z.string(), subject: z.string() })

const revocationForm = z.object({
  id: z.string(),
  revoked: z.record(z.string(), z.string()),
  sinceMs: z.number(),
  by: personForm,
  reason: z.string().optional(),
})

const outstandingForm = z.object({
  tokens: z.array(
    z.object({
      tokenSha256: z.string(),
      application: z.string(),
      tenant: z.string(),
      scope: z.string(),
      expiresAtSeconds: z.number(),
      lastGivenTo: personForm.optional(),
    }),
  ),
  tokenCount: z.number(),
  assertions: z.array(
    z.object({
      assertionSha256: z.string(),
      application: z.string(),
      tenant: z.string(),
      givenTo: personForm,
      expiresAtSeconds: z.number(),
      tokensUntilSeconds: z.number(),
      longLivedTokensUntilSeconds: z.number(),
    }),
  ),
  assertionCount: z.number(),
  complete: z.boolean(),
})

const revokeAnswer = z.object({
  revocation: revocationForm,
  outstanding: outstandingForm.optional(),
  attempt: z.string(),
})
const listAnswer = z.object({ revocations: z.array(revocationForm) })
const liftAnswer = z.object({ lifted: z.string(), epoch: z.number() })

const example = `
Examples, with a caller token whose grant says "may: [{ admin: revoke }]":
  $ countersign revoke --grant billing-export --reason "INC-7: runner compromised"
  $ countersign revoke --caller github/repo:contoso/billing:ref:refs/heads/main
  $ countersign revoke --list
  $ countersign revoke --lift 01990000-0000-7000-8000-000000000001

On the service's own machine, as its user or root, where nobody else can (issuer away, everybody locked out):
  $ countersign revoke --socket /run/countersign/revocations.sock --list

It holds at once, on every replica, whether or not that one has heard of it. What was issued before cannot be
taken back, and is listed with the time until which it lives.
`

export function revokeCommand(): Command {
  return serviceOptions(new Command('revoke'))
    .description('Stops something at once, lets it go on, or lists what is stopped.')
    .option('--caller <issuer/subject>', 'one caller, by the name of its issuer and its sub')
    .option('--grant <name>', 'whatever a grant gives')
    .option('--issuer <name>', 'all callers of an issuer')
    .option('--application <name>', 'whatever is given as an application')
    .option('--tenant <guid>', 'whatever is given for a tenant')
    .option('--key-version <id>', 'https://VAULT/keys/NAME/VERSION: it signs no more')
    .option('--reason <text>', 'one line for the ledger')
    .option(
      '--socket <path>',
      'listen.revocationSocket of a service on this machine; asks for no proof',
    )
    .option('--lift <id>', 'let it go on')
    .option('--list', 'what is stopped now')
    .addOption(
      new Option('--lockout <what>', 'when it would stop you too: accept that, or not')
        .choices(['refuse', 'accept'])
        .default('refuse'),
    )
    .addOption(
      new Option('--output <form>', 'text, or the whole answer as json')
        .choices(['text', 'json'])
        .default('text'),
    )
    .addHelpText('after', example)
    .action(async (options: RevokeOptions, command: Command) => {
      try {
        for (const line of await done(options)) console.log(line)
      } catch (error) {
        const redact = createRedaction(readSecrets())
        command.error(redact(`revoke: ${error instanceof Error ? error.message : String(error)}`))
      }
    })
}

async function done(options: RevokeOptions): Promise<readonly string[]> {
  const act = actFrom(options)
  return act(await serviceFrom(options))
}

async function serviceFrom(options: RevokeOptions): Promise<AskedService> {
  const { socket, url, publicUrl, audience, tokenFile, certificate, key, dpopKey } = options
  if (socket === undefined) return askedService(options, readEnvironment().caller)
  const others = [url, publicUrl, audience, tokenFile, certificate, key, dpopKey]
  if (others.every((one) => one === undefined)) return { socket }
  throw new CommandError('--socket takes no URL and no proof: leave them out')
}

type Act = (service: AskedService) => Promise<readonly string[]>

const route = '/v1/revocations'

/** @throws CommandError when the options do not say one thing. */
function actFrom(options: RevokeOptions): Act {
  const { lift, list, output } = options
  const named = revokedFrom(options)
  const asked = named.length + (lift === undefined ? 0 : 1) + (list === true ? 1 : 0)
  if (asked !== 1) {
    throw new CommandError(
      'give one of --caller, --grant, --issuer, --application, --tenant, --key-version, --lift and --list',
    )
  }
  const lines = <Answer>(answer: Answer, text: (one: Answer) => readonly string[]) =>
    output === 'json' ? [JSON.stringify(answer)] : text(answer)
  if (lift !== undefined) {
    const one = `${route}/${encodeURIComponent(lift)}`
    return async (service) =>
      lines(await askService(service, one, 'DELETE', liftAnswer), ({ lifted }) => [
        `LIFTED ${lifted}: other replicas hear of it within a second or so.`,
      ])
  }
  if (list === true) {
    return async (service) => lines(await askService(service, route, 'GET', listAnswer), listLines)
  }
  const { reason, lockout } = options
  const body = { ...named[0], reason, lockout }
  return async (service) =>
    lines(await askService(service, route, { post: body }, revokeAnswer), revokedLines)
}

function revokedFrom(options: RevokeOptions): readonly object[] {
  const { caller, grant, issuer, application, tenant, keyVersion } = options
  return [
    ...(caller === undefined ? [] : [{ caller: callerFrom(caller) }]),
    ...Object.entries({ grant, issuer, application, tenant, keyVersion })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => ({ [name]: value })),
  ]
}

/** A subject may hold slashes, and the name of an issuer holds none. */
function callerFrom(text: string): { readonly issuer: string; readonly subject: string } {
  const at = text.indexOf('/')
  if (at > 0 && at < text.length - 1) {
    return { issuer: text.slice(0, at), subject: text.slice(at + 1) }
  }
  throw new CommandError('--caller must be ISSUER/SUBJECT, as the ledger has them')
}

type Revocation = z.output<typeof revocationForm>
type OutstandingAnswer = z.output<typeof outstandingForm>

function listLines({ revocations }: z.output<typeof listAnswer>): readonly string[] {
  return revocations.length === 0 ? ['Nothing is stopped.'] : revocations.map(revocationLine)
}

/** Subjects are as callers' issuers wrote them. */
const shown = (text: string) => printable(text, 200)

const revocationLine = ({ id, revoked, sinceMs, by, reason }: Revocation) => {
  const { what = '', ...names } = revoked
  const because = reason === undefined ? '' : `: ${shown(reason)}`
  return `${id}  ${what} ${shown(Object.values(names).join('/'))}  since ${isoTimeFrom(sinceMs)} by ${shown(`${by.issuer}/${by.subject}`)}${because}`
}

function revokedLines({
  revocation,
  outstanding,
}: z.output<typeof revokeAnswer>): readonly string[] {
  return [
    `REVOKED ${revocationLine(revocation)}`,
    'Nothing is issued for it any more, by any replica, and cached tokens are dropped.',
    ...(outstanding === undefined
      ? ['What is out there is not known: the ledger could not be read.']
      : outstandingLines(outstanding)),
  ]
}

const untilText = (seconds: number) => isoTimeFrom(seconds * 1000)

function outstandingLines(outstanding: OutstandingAnswer): readonly string[] {
  const { tokens, tokenCount, assertions, assertionCount, complete } = outstanding
  return [
    ...(tokenCount === 0
      ? ['No token of it is out there.']
      : [
          `${tokenCount} of its tokens live on. Entra does not recall a token of a multi-tenant application before its end:`,
          ...tokens.map(
            ({ tokenSha256, application, tenant, scope, expiresAtSeconds }) =>
              `  until ${untilText(expiresAtSeconds)}  ${application} ${tenant} ${shown(scope)}  token ${tokenSha256}`,
          ),
        ]),
    ...(assertionCount === 0
      ? []
      : [
          `${assertionCount} assertions were handed out. Until its end each buys tokens from Entra, which live for up to 90 minutes more, and for up to 28 hours if long-lived ones were asked for:`,
          ...assertions.map(
            ({ assertionSha256, application, tenant, ...one }) =>
              `  until ${untilText(one.expiresAtSeconds)}, its tokens until ${untilText(one.tokensUntilSeconds)} or ${untilText(one.longLivedTokensUntilSeconds)}  ${application} ${tenant}  assertion ${assertionSha256}`,
          ),
        ]),
    ...(complete
      ? []
      : ['There may be more: not all of the ledger that could matter was read or counted.']),
  ]
}
