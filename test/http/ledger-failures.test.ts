import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { loadAll } from '../../src/cli/load-all.ts'
import { readSecrets } from '../../src/config/environment.ts'
import type { EntryKind } from '../../src/ledger/entry.ts'
import { ledgerInFile } from '../../src/ledger/ledger-source.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import { reconcile } from '../support/reconcile-paths.ts'
import { createProtectedLog } from '../../src/telemetry/protected-log.ts'
import { createService } from '../../src/wiring.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import { emptyDisk, fillDisk } from '../support/full-disk.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { expectNothingPrivate, expectProblem, type ProblemWords } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  cast,
  defaultGrants,
  deployAsk,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
  writeConfiguration,
} from '../support/test-service.ts'

/** No entry, no act: a ledger that breaks at any point of the way, and what has happened by then. */

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterAll(() => emulator.stop())

const ledgerUnavailable: ProblemWords = {
  status: 503,
  code: 'ledger_unavailable',
  title: 'Nothing can be recorded',
  detail: 'Nothing is issued that cannot be recorded first. Try again later.',
  retryAfterSeconds: 5,
}

/** A service for one test, because a ledger that has failed refuses for a while. */
async function withService(act: (service: TestService) => Promise<void>): Promise<void> {
  const service = await startTestService({ emulator })
  try {
    await act(service)
  } finally {
    await service.stop()
  }
}

const asked = {
  token: ['POST /v1/token', 'fabrikam-orders', ordersAsk],
  assertion: ['POST /v1/assertion', 'github', deployAsk],
  'request URL': [`GET /v1/assertion/deploy/${cast.fabrikam}`, 'github', undefined],
} as const

type What = keyof typeof asked

async function ask(service: TestService, what: What) {
  const [route, caller, json] = asked[what]
  const token = await service.callerToken(caller)
  const answer = await service.ask(route, { token, ...(json === undefined ? {} : { json }) })
  return { token, answer }
}

interface Point {
  readonly what: What
  readonly kind: EntryKind
  /** What the ledger holds of the attempt in the end. */
  readonly written: readonly EntryKind[]
  readonly signed: number
  readonly exchanged: number
}

const points: readonly Point[] = [
  { what: 'token', kind: 'request.granted', written: [], signed: 0, exchanged: 0 },
  { what: 'token', kind: 'signature.begun', written: [], signed: 0, exchanged: 0 },
  {
    what: 'token',
    kind: 'signature.made',
    written: ['request.granted', 'signature.begun'],
    signed: 1,
    exchanged: 0,
  },
  {
    what: 'token',
    kind: 'exchange.succeeded',
    written: ['request.granted', 'signature.begun', 'signature.made'],
    signed: 1,
    exchanged: 1,
  },
  {
    what: 'token',
    kind: 'token.issued',
    written: ['request.granted', 'signature.begun', 'signature.made', 'exchange.succeeded'],
    signed: 1,
    exchanged: 1,
  },
  { what: 'assertion', kind: 'signature.begun', written: [], signed: 0, exchanged: 0 },
  {
    what: 'assertion',
    kind: 'signature.made',
    written: ['request.granted', 'signature.begun'],
    signed: 1,
    exchanged: 0,
  },
  {
    what: 'assertion',
    kind: 'assertion.issued',
    written: ['request.granted', 'signature.begun'],
    signed: 1,
    exchanged: 0,
  },
  { what: 'request URL', kind: 'signature.begun', written: [], signed: 0, exchanged: 0 },
  {
    what: 'request URL',
    kind: 'assertion.issued',
    written: ['request.granted', 'signature.begun'],
    signed: 1,
    exchanged: 0,
  },
]

const graceMs = 30 * 60_000

/** What fails before the ledger does, and by which of its words the log is to show it. */
const firstCauses = [
  {
    kind: 'signature.failed',
    what: 'assertion',
    fault: { ...signing, kind: 'throttle' },
    code: 'SIGNER_THROTTLED',
    first: 'too many requests',
  },
  {
    kind: 'request.failed',
    what: 'assertion',
    fault: { ...signing, kind: 'throttle' },
    code: 'SIGNER_THROTTLED',
    first: 'too many requests',
  },
  {
    kind: 'exchange.failed',
    what: 'token',
    fault: { ...exchanging, kind: 'drop-after' },
    code: 'ENTRA_UNAVAILABLE',
    first: 'SocketError',
  },
  {
    kind: 'request.failed',
    what: 'token',
    fault: { ...exchanging, kind: 'drop-after' },
    code: 'ENTRA_UNAVAILABLE',
    first: 'SocketError',
  },
] as const

/** Lines of the protected log about the attempt that the answer names. */
const linesOf = (service: TestService, { headers }: Answer) =>
  service
    .log()
    .map((line) => JSON.parse(line) as { readonly attempt?: unknown })
    .filter(({ attempt }) => attempt === headers['countersign-attempt'])

describe('a ledger that breaks', () => {
  test.each(points)('at $kind: no $what leaves', ({ what, kind, written, signed, exchanged }) =>
    withService(async (service) => {
      service.newEntries()
      fillDisk(service.ledgerFile, kind)
      const { token, answer } = await ask(service, what)

      expectProblem(answer, ledgerUnavailable)
      expectNothingPrivate(answer, service, { token, values: [cast.fabrikam, cast.orders] })
      expect(service.newEntries().map((entry) => entry.kind)).toEqual(written)
      expect(service.vaultRecords()).toHaveLength(signed)
      expect(service.exchanges()).toHaveLength(exchanged)
    }),
  )

  test.each([
    { what: 'token', kind: 'signature.made', id: 'vaultRequestId' },
    { what: 'token', kind: 'exchange.succeeded', id: 'tokenSha256' },
    { what: 'assertion', kind: 'signature.made', id: 'vaultRequestId' },
  ] as const)('at $kind ($what): the log says which one there is', ({ what, kind, id }) =>
    withService(async (service) => {
      fillDisk(service.ledgerFile, kind)
      const { answer } = await ask(service, what)

      const unrecorded = linesOf(service, answer).filter((line) => 'entry' in line)
      expect(unrecorded).toMatchObject([
        { msg: 'not recorded', entry: { kind, [id]: expect.any(String) as unknown } },
      ])
    }),
  )

  test('while a token is in the cache: it does not leave', () =>
    withService(async (service) => {
      expect((await ask(service, 'token')).answer.status).toBe(200)
      fillDisk(service.ledgerFile)
      const { token, answer } = await ask(service, 'token')

      expectProblem(answer, ledgerUnavailable)
      expectNothingPrivate(answer, service, { token })
    }))

  test('while a caller is refused: it is told that nothing can be recorded', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile)
      const token = await service.callerToken('fabrikam-orders')
      const answer = await service.ask('POST /v1/assertion', { token, json: deployAsk })

      expectProblem(answer, ledgerUnavailable)
    }))

  test.each(firstCauses)(
    'at $kind ($what), after something else has failed: that is told, and the log has both',
    ({ kind, what, fault, code, first }) =>
      withService(async (service) => {
        fillDisk(service.ledgerFile, kind)
        strike(emulator, fault)
        const { token, answer } = await ask(service, what)

        expectProblem(answer, ledgerUnavailable)
        expectNothingPrivate(answer, service, { token })
        const [unrecorded, failed, ...more] = linesOf(service, answer)
        expect(more).toEqual([])
        expect(unrecorded).toMatchObject({
          msg: 'not recorded',
          level: 50,
          entry: { kind, code },
          err: { code },
        })
        expect(JSON.stringify(unrecorded)).toContain(first)
        expect(failed).toMatchObject({ msg: 'failed', code: 'LEDGER_UNAVAILABLE' })
        expect(JSON.stringify(failed)).toContain('database or disk is full')
      }),
  )

  test('while it is written that a signature may exist: the log, the vault and reconcile say so', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile, 'signature.failed')
      strike(emulator, { ...signing, kind: 'drop-after' })
      const recordsBefore = service.vaultRecords().length
      const { answer } = await ask(service, 'assertion')

      expectProblem(answer, ledgerUnavailable)
      expect(service.vaultRecords()).toHaveLength(recordsBefore + 1)
      const begun = service.entries().findLast((entry) => entry.kind === 'signature.begun')
      const { signature, attempt } = required(begun)
      expect(attempt).toBe(answer.headers['countersign-attempt'])
      expect(linesOf(service, answer)[0]).toMatchObject({
        entry: { kind: 'signature.failed', signature, applied: 'unknown' },
      })
      const { findings } = await reconcile({
        ledger: ledgerInFile(service.ledgerFile),
        vaultLogPaths: [emulator.endpoints.vaultLogFolder],
        keys: [],
        // Before any proof is due.
        nowMs: service.clock.nowMs() + graceMs + 60_000,
        graceMs,
      })
      expect(findings).toContainEqual(
        expect.objectContaining({ kind: 'sign.assumed', signature, attempt }),
      )
    }))

  test('never: a failure that is recorded is not said to be unrecorded', () =>
    withService(async (service) => {
      strike(emulator, { ...signing, kind: 'throttle' })
      const { answer } = await ask(service, 'assertion')

      expect(linesOf(service, answer)).toMatchObject([{ msg: 'failed', code: 'SIGNER_THROTTLED' }])
    }))

  test('refuses whatever comes after, and signs none of it', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile)
      await ask(service, 'token')
      for (const what of Object.keys(asked) as readonly What[]) {
        const { answer } = await ask(service, what)
        expectProblem(answer, ledgerUnavailable)
      }

      expect(service.vaultRecords()).toEqual([])
      expect(service.exchanges()).toEqual([])
    }))

  test('turns strangers away all the same', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile)
      await ask(service, 'token')

      const answer = await service.ask('POST /v1/token', { json: ordersAsk })
      expect(answer).toMatchObject({ status: 401, body: { code: 'caller_not_proven' } })
    }))

  test('takes the service out of service: /readyz says why, /healthz stays', () =>
    withService(async (service) => {
      expect(await service.ask('GET /readyz')).toMatchObject({ status: 200 })
      fillDisk(service.ledgerFile)
      await ask(service, 'token')

      expect(await service.ask('GET /readyz')).toMatchObject({
        status: 503,
        body: { ready: false, ledger: 'failing' },
      })
      expect(await service.ask('GET /healthz')).toMatchObject({ status: 200 })
      expect((await service.ask('GET /metrics')).text).toMatch(/^countersign_ready 0$/m)
    }))

  test('tells the operator what the disk said, and nobody else', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile)
      const { answer } = await ask(service, 'token')

      const attempt = answer.headers['countersign-attempt']
      const line = service.log().find((one) => one.includes(String(attempt)))
      expect(line).toContain('LEDGER_UNAVAILABLE')
      expect(line).toContain('database or disk is full')
      expect(answer.text).not.toContain('disk')
    }))
})

describe('a ledger that can be written again', () => {
  test('lets the service issue by itself, and its chain has no gap', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile, 'signature.made')
      const { answer: failed } = await ask(service, 'token')
      expectProblem(failed, ledgerUnavailable)
      emptyDisk(service.ledgerFile)

      await expect.poll(async () => (await service.ask('GET /readyz')).status).toBe(200)
      expect((await ask(service, 'token')).answer.status).toBe(200)
      expect(service.entries().map(({ kind }) => kind)).toEqual([
        'certificate.loaded',
        'certificate.loaded',
        'request.granted',
        'signature.begun',
        'request.granted',
        'signature.begun',
        'signature.made',
        'exchange.succeeded',
        'token.issued',
      ])
    }))
})

describe('a disk with less room than is kept', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startTestService({
      emulator,
      configuration: (file) => ({
        ...file,
        ledger: { ...file.ledger, keepFreeMegabytes: 1_000_000 },
      }),
      grants: [
        ...defaultGrants,
        {
          grant: 'incident-response',
          caller: { issuer: 'gitlab', claims: { project_id: '22' } },
          may: [{ admin: 'revoke' }],
        },
      ],
    })
  })
  afterAll(() => service.stop())

  test.each(Object.keys(asked) as What[])(
    'has room for no %s, and nothing is signed',
    async (what) => {
      const { answer } = await ask(service, what)
      expectProblem(answer, ledgerUnavailable)
      expect(service.vaultRecords()).toEqual([])
    },
  )

  test('is not ready, and says to machines why', async () => {
    const { status, body } = await service.ask('GET /readyz')
    expect(status).toBe(503)
    expect(body).toMatchObject({ ready: false, ledger: 'full' })
  })

  test('has room for a revocation', async () => {
    const token = await service.callerToken('gitlab', { claims: { project_id: '22' } })
    const json = { grant: 'fabrikam-orders', reason: 'seen in a log' }
    const { status } = await service.ask('POST /v1/revocations', { token, json })
    expect(status).toBe(200)
  })
})

describe('a ledger that is closed', () => {
  test('refuses as one that is broken does', () =>
    withService(async (service) => {
      await service.service.ledger.close()
      const { answer } = await ask(service, 'token')

      expectProblem(answer, ledgerUnavailable)
      expect(service.vaultRecords()).toEqual([])
    }))
})

describe('all who wait for one token', () => {
  test('are told when its entry cannot be written, and none of them gets it', () =>
    withService(async (service) => {
      fillDisk(service.ledgerFile, 'exchange.succeeded')
      const token = await service.callerToken('fabrikam-orders')
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => service.ask('POST /v1/token', { token, json: ordersAsk })),
      )

      for (const answer of answers) expectProblem(answer, ledgerUnavailable)
      expect(service.vaultRecords()).toHaveLength(1)
    }))
})

describe('a service of which a part cannot be made', () => {
  test('leaves its ledger closed, so that the next one opens it at once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'))
    const loaded = await loadAll(writeConfiguration(folder, emulator), systemClock.nowSeconds())
    if (!loaded.ok) throw new Error('the configuration of this test is broken')
    const making = createService({
      ...loaded,
      identityClientId: undefined,
      clock: systemClock,
      logger: createProtectedLog({ level: 'fatal', secrets: readSecrets() }),
      version: '0.0.0',
      contractFile: join(folder, 'none'),
    })
    await expect(making).rejects.toMatchObject({ code: 'ENOENT' })
    const file = join(folder, 'countersign.db')
    expect(existsSync(`${file}-wal`)).toBe(false)
    const next = await createSqliteLedger({ file, lockWaitMs: 0 })
    expect(next.healthy()).toBe(true)
    await next.close()
    rmSync(folder, { recursive: true })
  })
})
