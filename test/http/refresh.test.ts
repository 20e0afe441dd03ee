import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ledgerInFile } from '../../src/ledger/ledger-source.ts'
import { isoTimeFrom } from '../../src/base/clock.ts'
import type { Entry, EntryKind } from '../../src/ledger/entry.ts'
import { reconcile } from '../support/reconcile-paths.ts'
import { exchanging, holdBack, signing, strike } from '../support/faults.ts'
import {
  cast,
  type GrantFile,
  longLivedWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import type { TestEmulator } from '../support/emulator.ts'

/** Refreshing ahead: what is in use, and only that; nobody waits for it, and the ledger has it all. */

const graph = 'https://graph.microsoft.com/.default'
const scopes = [cast.orders, cast.eventHubs, graph]

let emulator: TestEmulator
let service: TestService

const may = (): GrantFile['may'] => [
  { application: 'events', tenant: cast.fabrikam, scopes: [...scopes] },
  { application: 'events', tenant: cast.contoso, scopes: [graph] },
]

/** One that ends by itself, half an hour into each test, and one that does not. */
const grants = (): readonly GrantFile[] => [
  {
    grant: 'github-for-a-while',
    caller: { issuer: 'github', claims: { repository_id: '654321' } },
    may: may(),
    until: isoTimeFrom(emulator.clock.nowMs() + 1800_000),
  },
  {
    grant: 'github',
    caller: { issuer: 'github', claims: { repository_id: '123456' } },
    may: may(),
    longLived: true,
  },
]

beforeAll(async () => {
  emulator = await startServiceEmulator(longLivedWorld)
})
afterAll(() => emulator.stop())

beforeEach(async () => {
  service = await startTestService({
    emulator,
    grants: grants(),
    configuration: (file) => ({
      ...file,
      applications: {
        ...file.applications,
        events: {
          clientId: cast.eventsClientId,
          certificate: 'partners',
          tenants: [cast.contoso, cast.fabrikam],
        },
      },
    }),
  })
})
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
})

interface TokenAnswer {
  readonly access_token: string
  readonly expires_in: number
}

async function ask(changes: object = {}, repository = '123456'): Promise<TokenAnswer> {
  const token = await service.callerToken('github', { claims: { repository_id: repository } })
  const json = { application: 'events', tenant: cast.fabrikam, scope: cast.orders, ...changes }
  const answer = await service.ask('POST /v1/token', { token, json })
  expect(answer.status, answer.text).toBe(200)
  return answer.body as TokenAnswer
}

/** What the background task does each second. */
async function refreshDue(): Promise<void> {
  service.service.refresher.start()
  await service.service.refresher.idle()
}

const later = (seconds: number) => {
  emulator.clock.shift(seconds)
}

/** Tokens of an hour are due between 2400 and 3000 s, if they were asked for in the half hour before. */
async function untilDue(use: () => Promise<unknown>): Promise<void> {
  later(1700)
  await use()
  later(1301)
  service.newEntries()
}

type EntryOf<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>
const only = <Kind extends EntryKind>(entries: readonly Entry[], kind: Kind) =>
  entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind)

describe('a token in use', () => {
  test('is refreshed before it ends, and the next caller has the fresh one at once', async () => {
    const old = await ask()
    await untilDue(() => ask())
    await refreshDue()
    const exchanges = service.exchanges().length
    const fresh = await ask()

    expect(fresh.access_token).not.toBe(old.access_token)
    expect(fresh.expires_in).toBeGreaterThan(3500)
    expect(service.exchanges()).toHaveLength(exchanges)
  })

  test('is refreshed by an attempt whose caller is the service, by the grant that used it last', async () => {
    await ask()
    await untilDue(() => ask())
    await refreshDue()

    const entries = service.newEntries()
    expect(entries.map(({ kind }) => kind)).toEqual([
      'request.granted',
      'signature.begun',
      'signature.made',
      'exchange.succeeded',
    ])
    const [granted] = only(entries, 'request.granted')
    expect(granted).toEqual({
      kind: 'request.granted',
      atMs: expect.any(Number) as number,
      attempt: expect.any(String) as string,
      caller: { issuer: 'countersign', subject: 'refresh' },
      grant: 'github',
      application: 'events',
      tenant: cast.fabrikam,
      scope: cast.orders,
    })
    await ask()
    const [issued] = only(service.newEntries(), 'token.issued')
    expect(issued).toMatchObject({ obtainedBy: granted?.attempt, caller: { issuer: 'github' } })
  })

  test('is refreshed with the other scopes of its tenant, for one signature', async () => {
    const askAll = () => Promise.all(scopes.map((scope) => ask({ scope })))
    await askAll()
    await untilDue(askAll)
    const records = service.vaultRecords().length
    await refreshDue()

    const entries = service.newEntries()
    expect(only(entries, 'exchange.succeeded')).toHaveLength(scopes.length)
    expect(only(entries, 'signature.made')).toHaveLength(1)
    expect(service.vaultRecords()).toHaveLength(records + 1)
  })

  test('is refreshed again while it is in use, hour after hour, and reconcile explains it all', async () => {
    await ask()
    for (let hour = 0; hour < 3; hour += 1) {
      await untilDue(() => ask())
      await refreshDue()
    }
    // As the background does it.
    await service.service.proofs.publish()
    const graceMs = 30 * 60_000
    const report = await reconcile({
      ledger: ledgerInFile(service.ledgerFile),
      vaultLogPaths: [emulator.endpoints.vaultLogFolder],
      keys: [],
      // Before any proof is due.
      nowMs: service.clock.nowMs() + graceMs + 60_000,
      graceMs,
    })

    expect(service.exchanges()).toHaveLength(4)
    expect(report.ledger).toMatchObject({ signaturesMade: 4, signaturesOpen: 0 })
    // What the services of the other tests have signed is in the same log.
    expect(report.vaultLog.explained).toBe(4)
    expect(report.findings.filter(({ kind }) => kind !== 'sign.unexplained')).toEqual([])
  })

  test('of a day is refreshed when Entra says, long before its end', async () => {
    const json = {
      tenant: cast.contoso,
      scope: graph,
      claims: '{"access_token":{"xms_cc":{"values":["cp1"]}}}',
    }
    const old = await ask(json)
    later(Math.ceil(old.expires_in / 2) + 600)
    await ask(json)
    later(1)
    await refreshDue()

    const fresh = await ask(json)
    expect(fresh.access_token).not.toBe(old.access_token)
    expect(fresh.expires_in).toBeGreaterThan(19 * 3600)
    const granted = only(service.newEntries(), 'request.granted').at(-1)
    expect(granted).toMatchObject({ caller: { subject: 'refresh' }, longLived: true })
  })
})

describe('a token is left alone', () => {
  test('when nobody has asked for it since it was obtained', async () => {
    await ask()
    await untilDue(() => Promise.resolve())
    await refreshDue()

    expect(service.newEntries()).toEqual([])
  })

  test('when it does not near its end', async () => {
    await ask()
    later(2300)
    await ask()
    service.newEntries()
    await refreshDue()

    expect(service.newEntries()).toEqual([])
  })

  test('when the grant that used it last does not give it any more, until another one uses it', async () => {
    await ask()
    await untilDue(() => ask({}, '654321'))
    await refreshDue()
    expect(service.newEntries()).toEqual([])
    expect((await service.ask('GET /metrics')).text).toContain(
      'countersign_token_refreshes_total{outcome="left"} 1',
    )

    await ask()
    later(1)
    await refreshDue()
    expect(only(service.newEntries(), 'exchange.succeeded')).toHaveLength(1)
  })

  test('when the service is stopping', async () => {
    await ask()
    await untilDue(() => ask())
    await service.service.refresher.stop()
    await refreshDue()

    expect(service.newEntries()).toEqual([])
  })
})

describe('a refresh that fails', () => {
  test.each([
    ['at the vault', signing, 'SIGNER_UNAVAILABLE'],
    ['at Entra', exchanging, 'ENTRA_UNAVAILABLE'],
  ] as const)('%s takes nothing away, is written down, and is tried again', async (_, at, code) => {
    const old = await ask()
    await untilDue(() => ask())
    strike(emulator, { ...at, kind: 'server-error' })
    await refreshDue()

    const [failed] = only(service.newEntries(), 'request.failed')
    expect(failed).toMatchObject({ code, caller: { issuer: 'countersign' }, grant: 'github' })
    expect((await ask()).access_token).toBe(old.access_token)
    later(8)
    await refreshDue()
    expect((await ask()).access_token).toBe(old.access_token)
    later(8)
    await refreshDue()
    expect((await ask()).access_token).not.toBe(old.access_token)
    expect((await service.ask('GET /metrics')).text).toMatch(
      /token_refreshes_total\{outcome="failed"\} 1\n.*token_refreshes_total\{outcome="refreshed"\} 1/s,
    )
  })

  test('because vault and Entra are both away is noticed by no caller while its token lives', async () => {
    const old = await ask()
    await untilDue(() => ask())
    await Promise.all(emulator.vaults.map((vault) => vault.leave()))
    strike(emulator, { ...exchanging, kind: 'drop-before', times: 1000 })
    try {
      const asked = 20
      const leftSeconds = Math.floor((await ask()).expires_in)
      for (let time = 1; time < asked; time += 1) {
        later((leftSeconds - 340) / asked)
        await refreshDue()
        expect((await ask()).access_token).toBe(old.access_token)
      }
    } finally {
      await Promise.all(emulator.vaults.map((vault) => vault.comeBack()))
    }
    const entries = service.newEntries()
    expect(only(entries, 'token.issued')).toHaveLength(20)
    expect(only(entries, 'request.failed').length).toBeGreaterThan(0)
    expect(only(entries, 'signature.made')).toEqual([])
    emulator.faults.clear()
    later(330)
    expect((await ask()).access_token).not.toBe(old.access_token)
  })

  const metrics = async () => (await service.ask('GET /metrics')).text

  test('is told to those who find no token that lasts while it is under way', async () => {
    await ask()
    await untilDue(() => ask())
    const held = holdBack(emulator, exchanging)
    service.service.refresher.start()
    await held.reached()
    later(300)
    const asked = ask()
    // The first one has found nothing either, at the beginning.
    await expect.poll(metrics).toContain('countersign_token_cache_lookups_total{outcome="miss"} 2')
    held.letGo()
    await asked
    await service.service.refresher.idle()

    const entries = service.newEntries()
    const [refreshed] = only(entries, 'request.granted')
    expect(refreshed?.caller.subject).toBe('refresh')
    expect(only(entries, 'token.issued')).toMatchObject([{ obtainedBy: refreshed?.attempt }])
    expect(service.exchanges()).toHaveLength(2)
  })
})
