import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fc } from '../support/drawn-cases.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { explained } from '../../src/cli/explain.ts'
import type { Ask, CallerFacts } from '../../src/policy/decision.ts'
import { askers, fileOf, grants, type Written } from '../support/drawn-grants.ts'
import {
  deploy,
  eventHubs,
  events,
  fabrikam,
  graph,
  issuerName,
  northwind,
} from '../support/grants.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  type ConfigurationFile,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Callers with tokens, over a socket, beside what the command says to the same tokens and files. */

/** As drawn grants and callers have them; both issue whatever they are told to. */
const emulatedIssuers = { cluster: 'github', platform: 'gitlab' } as const

let service: TestService
beforeAll(async () => {
  service = await startTestService({
    grants: [],
    configuration: (file): ConfigurationFile => {
      const { github, gitlab } = file.issuers
      return {
        ...file,
        applications: {
          events: {
            ...required(file.applications['events']),
            handOut: true,
            tenants: [fabrikam, northwind],
          },
          deploy: { ...required(file.applications['deploy']), tenants: [fabrikam] },
        },
        issuers: {
          cluster: { kind: 'oidc', issuer: urlOf(github) },
          platform: { kind: 'oidc', issuer: urlOf(gitlab) },
        },
      }
    },
  })
})
afterAll(() => service.stop())

const urlOf = (issuer: object | undefined) =>
  required(issuer !== undefined && 'issuer' in issuer ? (issuer.issuer as string) : undefined)

/** From now on these are in force, and no others. */
async function putIntoForce(all: readonly Written[]): Promise<void> {
  const folder = join(service.folder, 'grants')
  for (const name of readdirSync(folder)) rmSync(join(folder, name))
  for (const one of all) {
    const file = fileOf(one)
    if (!file.ok) throw new TypeError('drawn grants can be read')
    // Of limits the command says nothing, because they depend on who else asks.
    const text = JSON.stringify({ ...JSON.parse(file.text), limits: { perMinute: 60_000 } })
    writeFileSync(join(service.folder, file.file), text)
  }
  await service.service.reloading.grants.look()
  service.newEntries()
}

const tokenOf = ({ issuer, claims }: CallerFacts) =>
  service.callerToken(emulatedIssuers[issuer as string as keyof typeof emulatedIssuers], {
    // Absent unless drawn.
    claims: { sub: null, ref: null, level: null, ...claims },
  })

const asksOf = ({ want, ...named }: Ask, token: string): Promise<Answer> =>
  service.ask(`POST /v1/${want}`, { token, json: named })

/** `granted`, or the reason that the ledger has, listed or counted. */
async function outcomeOf({
  status,
  body,
}: Answer): Promise<{ readonly why: string; readonly code: unknown }> {
  await service.service.turnedAway.roll('every')
  const entries = service.newEntries()
  const refusals = entries.flatMap((entry) =>
    entry.kind === 'request.refused' || entry.kind === 'service.turned-away' ? [entry.reason] : [],
  )
  if (status === 200 && refusals.length === 0) return { why: 'granted', code: undefined }
  return { why: refusals.join(), code: (body as { readonly code?: unknown }).code }
}

/** The same, from what the command prints. */
async function explanationOf(ask: Ask, token: string, all: readonly Written[]): Promise<string> {
  const file = join(service.folder, 'caller.jwt')
  writeFileSync(file, token)
  const { application, tenant } = ask
  const { lines, granted } = await explained({
    config: join(service.folder, 'countersign.yaml'),
    token: file,
    application,
    tenant,
    ...(ask.want === 'token'
      ? { scope: ask.scope }
      : { assertion: true, lifetimeSeconds: String(ask.lifetimeSeconds) }),
  })
  if (granted) return 'granted'
  const unproven = /^REFUSED: nobody is proven\. ([a-z_]+)/.exec(lines[0] ?? '')?.[1]
  if (unproven !== undefined) return unproven
  const naming = lines.flatMap((line) => {
    const [, grant, rest = ''] = /^grant ([a-z]+): (.*)$/.exec(line) ?? []
    return grant === undefined || rest.startsWith('claim ') ? [] : [{ grant, rest }]
  })
  if (naming.length === 0) return 'caller_not_named'
  const isTried = (name: string) => all.find(({ grant }) => grant === name)?.mode === 'dry-run'
  const isTooLong = naming.some(
    ({ grant, rest }) => / gives assertions of \d+ s at most$/.test(rest) && !isTried(grant),
  )
  return isTooLong ? 'lifetime_too_long' : 'grant_missing'
}

interface Asker {
  readonly caller: CallerFacts
  readonly want: Ask
}

/** A token has a subject, or it is none: most of those that are drawn have one. */
const withSubject = ({ caller, want }: Asker): Asker => ({
  caller: { ...caller, claims: { sub: 'api', ...caller.claims } },
  want,
})

/** All that the command shows are five of those that refuse. */
const drawn = grants
  .map((all) => all.slice(0, 5))
  .chain((all) => {
    const asker = askers(all)
    const most = fc.oneof({ weight: 5, arbitrary: asker.map(withSubject) }, asker)
    return fc.tuple(fc.constant(all), fc.array(most, { minLength: 4, maxLength: 4 }))
  })

/** Everything that can be said, whatever chance brings. */
const certain: readonly [readonly Written[], readonly Asker[]] = [
  [
    {
      grant: 'a',
      caller: { issuer: 'cluster', claims: { sub: 'api', level: 1 } },
      may: [
        { application: 'events', tenant: 'any-listed', scopes: [eventHubs] },
        { application: 'deploy', tenant: fabrikam, assertion: { lifetimeSeconds: 300 } },
      ],
    },
    {
      grant: 'b',
      caller: { issuer: 'platform', claims: { ref: { like: 'ma*' } } },
      may: [{ application: 'events', tenant: fabrikam, scopes: [graph] }],
      mode: 'dry-run',
    },
  ],
  (
    [
      ['cluster', { sub: 'api', level: 1 }, { want: 'token', tenant: fabrikam, scope: eventHubs }],
      ['cluster', { sub: 'api', level: 1 }, { want: 'token', tenant: northwind, scope: graph }],
      [
        'cluster',
        { sub: 'api', level: '1' },
        { want: 'token', tenant: fabrikam, scope: eventHubs },
      ],
      ['cluster', { level: 1 }, { want: 'token', tenant: fabrikam, scope: eventHubs }],
      ['cluster', { sub: 1, level: 1 }, { want: 'token', tenant: fabrikam, scope: eventHubs }],
      ['cluster', { sub: 'api', level: 1 }, { want: 'assertion', lifetimeSeconds: 300 }],
      ['cluster', { sub: 'api', level: 1 }, { want: 'assertion', lifetimeSeconds: 600 }],
      ['platform', { sub: 'api', ref: 'main' }, { want: 'token', tenant: fabrikam, scope: graph }],
      ['platform', { sub: 'api' }, { want: 'token', tenant: fabrikam, scope: graph }],
    ] as const
  ).map(([issuer, claims, want]) => ({
    caller: { issuer: issuerName(issuer), claims },
    want:
      want.want === 'token'
        ? { ...want, application: events }
        : { ...want, application: deploy, tenant: fabrikam },
  })),
]

const codes: Readonly<Record<string, string | undefined>> = {
  granted: undefined,
  caller_claim_missing: 'caller_not_proven',
  caller_not_named: 'not_granted',
  grant_missing: 'not_granted',
  lifetime_too_long: 'lifetime_too_long',
}

test('what `explain` says of a token is what the service answers it, and why', async () => {
  const met = new Set<string>()
  await fc.assert(
    fc.asyncProperty(drawn, async ([all, some]) => {
      await putIntoForce(all)
      for (const { caller, want } of some) {
        const token = await tokenOf(caller)
        const { why, code } = await outcomeOf(await asksOf(want, token))
        expect({ caller, want, why }).toEqual({
          caller,
          want,
          why: await explanationOf(want, token, all),
        })
        expect(Object.keys(codes)).toContain(why)
        expect(code).toBe(codes[why])
        met.add(want.want === 'assertion' && why === 'granted' ? 'assertion' : why)
      }
    }),
    { numRuns: 12, examples: [[[certain[0], [...certain[1]]]]] },
  )
  expect([...met].toSorted()).toEqual(['assertion', ...Object.keys(codes)].toSorted())
}, 240_000)
