import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ledgerInFile } from '../../src/ledger/ledger-source.ts'
import { tokenEndpointDialsSchema } from '../../src/emulator/entra/dials.ts'
import type { Entry, EntryKind } from '../../src/ledger/entry.ts'
import { reconcile } from '../support/reconcile-paths.ts'
import { signing, strike } from '../support/faults.ts'
import {
  cast,
  deployAsk,
  type GrantFile,
  longLivedWorld,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** One signature for many exchanges: what it costs, what the ledger says of it, and where it ends. */

const scopes = [cast.orders, cast.eventHubs, 'https://graph.microsoft.com/.default']
const granted = scopes.map(() => 200)

const grants: readonly GrantFile[] = [
  {
    grant: 'deploy-pipeline',
    caller: { issuer: 'github', claims: { repository_id: '123456' } },
    may: [
      { application: 'events', tenant: 'any-listed', scopes },
      { application: 'deploy', tenant: cast.fabrikam, scopes: [...scopes] },
      { application: 'deploy', tenant: cast.fabrikam, assertion: {} },
    ],
    limits: { perMinute: 60_000 },
  },
]

let service: TestService
let token: string

beforeAll(async () => {
  service = await startTestService({ grants, world: longLivedWorld })
})
afterAll(() => service.stop())

// Nothing is left of the tests before, neither tokens nor assertions.
beforeEach(async () => {
  service.emulator.clock.shift(7200)
  token = await service.callerToken('github')
  service.newEntries()
})

const askFor = (scope: string, changes: object = {}) =>
  service.ask('POST /v1/token', {
    token,
    json: { application: 'events', tenant: cast.fabrikam, scope, ...changes },
  })

const burst = async () => {
  const answers = await Promise.all(scopes.map((scope) => askFor(scope)))
  return answers.map(({ status }) => status)
}

type EntryOf<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>

const only = <Kind extends EntryKind>(entries: readonly Entry[], kind: Kind) =>
  entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind)

/** Assertions that Entra was shown, since so many exchanges. */
const shownSince = (count: number) =>
  service
    .exchanges()
    .slice(count)
    .map(({ assertionSha256 }) => assertionSha256)

describe('a burst over many scopes of one tenant', () => {
  test('costs one signature, and each exchange is linked to it', async () => {
    const exchangesBefore = service.exchanges().length
    const recordsBefore = service.vaultRecords().length
    expect(await burst()).toEqual(granted)

    expect(service.vaultRecords().slice(recordsBefore)).toHaveLength(1)
    const shown = shownSince(exchangesBefore)
    expect(shown).toHaveLength(scopes.length)
    expect(new Set(shown).size).toBe(1)
    const entries = service.newEntries()
    const [made, ...more] = only(entries, 'signature.made')
    expect(more).toEqual([])
    const exchanged = only(entries, 'exchange.succeeded')
    expect(exchanged.map(({ scope }) => scope).toSorted()).toEqual(scopes.toSorted())
    expect(new Set(exchanged.map(({ signature }) => signature))).toEqual(new Set([made?.signature]))
  })

  test('begins each attempt once, before its exchange; and the signature is written before any', async () => {
    await burst()

    const entries = service.newEntries()
    const kinds = entries.map(({ kind }) => kind)
    expect(kinds.indexOf('signature.made')).toBeLessThan(kinds.indexOf('exchange.succeeded'))
    for (const { attempt } of only(entries, 'exchange.succeeded')) {
      expect(
        entries.flatMap((entry) =>
          'attempt' in entry && entry.attempt === attempt && entry.kind !== 'signature.begun'
            ? [entry.kind]
            : [],
        ),
      ).toEqual(['request.granted', 'exchange.succeeded', 'token.issued'])
    }
  })

  test('is accounted for by reconcile', async () => {
    const graceMs = 30 * 60_000
    await burst()
    // Other tests have let time pass since they signed.
    await service.service.proofs.publish()
    const report = await reconcile({
      ledger: ledgerInFile(service.ledgerFile),
      vaultLogPaths: [service.emulator.endpoints.vaultLogFolder],
      keys: [],
      // Before any proof is due.
      nowMs: service.clock.nowMs() + graceMs + 60_000,
      graceMs,
    })

    expect(report).toMatchObject({ verdict: 'accounted-for', findings: [] })
    expect(report.vaultLog.explained).toBe(service.vaultRecords().length)
  })

  test('fails as a whole when the signature does, each attempt with its own entry; the next signs', async () => {
    strike(service.emulator, { ...signing, kind: 'throttle' })
    expect(await burst()).toEqual(scopes.map(() => 503))

    const entries = service.newEntries()
    expect(only(entries, 'signature.begun')).toHaveLength(1)
    expect(only(entries, 'signature.failed')).toHaveLength(1)
    expect(only(entries, 'request.failed').map(({ code }) => code)).toEqual(
      scopes.map(() => 'SIGNER_THROTTLED'),
    )
    expect(await burst()).toEqual(granted)
  })
})

describe('a young assertion', () => {
  const signaturesOf = async (act: () => Promise<unknown>) => {
    const before = service.vaultRecords().length
    await act()
    return service.vaultRecords().length - before
  }
  const [first = '', second = '', third = ''] = scopes

  test('serves another scope for a minute, and not longer', async () => {
    expect(await signaturesOf(() => askFor(first))).toBe(1)
    service.emulator.clock.shift(40)
    expect(await signaturesOf(() => askFor(second))).toBe(0)
    service.emulator.clock.shift(20)
    expect(await signaturesOf(() => askFor(third))).toBe(1)
  })

  test('serves neither another tenant nor another application', async () => {
    await askFor(first)
    expect(await signaturesOf(() => askFor(first, { tenant: cast.northwind }))).toBe(1)
    expect(await signaturesOf(() => askFor(first, { application: 'deploy' }))).toBe(1)
  })

  test('is never handed out, and what is handed out is never used', async () => {
    const exchangesBefore = service.exchanges().length
    const ask = () => service.ask('POST /v1/assertion', { token, json: deployAsk })
    const deployed = { application: 'deploy' }
    expect(await signaturesOf(ask)).toBe(1)
    expect(await signaturesOf(() => askFor(first, deployed))).toBe(1)
    expect(await signaturesOf(ask)).toBe(1)
    expect(await signaturesOf(() => askFor(second, deployed))).toBe(0)

    const handedOut = only(service.newEntries(), 'assertion.issued').map(({ assertionSha256 }) =>
      Buffer.from(assertionSha256, 'base64url').toString('hex'),
    )
    expect(handedOut).toHaveLength(2)
    for (const shown of shownSince(exchangesBefore)) expect(handedOut).not.toContain(shown)
  })
})

describe('where Entra takes each assertion once', () => {
  beforeAll(() => {
    service.emulator.entra.dials.set(tokenEndpointDialsSchema.parse({ replay: 'refused' }))
  })
  afterAll(() => {
    service.emulator.entra.dials.set(tokenEndpointDialsSchema.parse({}))
  })

  test('those who are refused sign for themselves, once, and get their tokens', async () => {
    expect(await burst()).toEqual(granted)

    const entries = service.newEntries()
    const refused = only(entries, 'exchange.failed')
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['ENTRA_ASSERTION_REFUSED']))
    expect(only(entries, 'signature.made')).toHaveLength(scopes.length)
    expect(
      new Set(only(entries, 'exchange.succeeded').map(({ signature }) => signature)).size,
    ).toBe(scopes.length)
    const attempts = only(entries, 'request.granted').map(({ attempt }) => attempt)
    expect(new Set(attempts).size).toBe(scopes.length)
    expect(attempts).toHaveLength(scopes.length)
  })

  test('an assertion that was used by nobody else is not tried again', async () => {
    service.emulator.entra.dials.set(
      tokenEndpointDialsSchema.parse({ audiences: ['v1-token-endpoint'] }),
    )
    expect((await askFor(scopes[0] ?? '')).status).toBe(502)
    expect(only(service.newEntries(), 'signature.begun')).toHaveLength(1)
  })
})
