import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent } from 'undici'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  batchesOf,
  createEntryExport,
  type EntryExport,
  type ExportEvents,
  rowsBehind,
} from '../../../src/custody/entry-export.ts'
import { createFileExportCursor } from '../../../src/custody/file-export-cursor.ts'
import { createLogAnalytics } from '../../../src/custody/log-analytics.ts'
import {
  ExportError,
  type LogDestination,
  type LogRow,
} from '../../../src/custody/log-destination.ts'
import { faultSchema } from '../../../src/emulator/faults.ts'
import { genesis } from '../../../src/ledger/chain.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { tailOfFile } from '../../../src/ledger/ledger-tail.ts'
import { createSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts'
import { createUndiciHttpClient } from '../../../src/vault-access/undici-http-client.ts'
import { defaultWorld } from '../../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'

/** A real ledger, the real client, and the emulated Logs Ingestion API. */

const deployment = 'https://countersign.contoso.example'
const { immutableId: rule } = required(defaultWorld.collectionRules[0])

let emulator: TestEmulator
let agent: Agent
let destination: LogDestination
beforeAll(async () => {
  emulator = await startTestEmulator({ world: { ...defaultWorld, vaults: [], applications: [] } })
  agent = new Agent({ connect: { ca: emulator.ca } })
  destination = await destinationOf('countersign')
})
afterAll(async () => {
  await agent.close()
  await emulator.stop()
})

const streamThere = () => ({
  endpoint: emulator.endpoints.logsIngestion,
  rule,
  stream: 'Custom-CountersignLedger',
  audience: 'https://monitor.azure.com',
})

const destinationOf = (principal: string) =>
  createLogAnalytics(streamThere(), {
    credential: emulator.credential(principal, 'https://monitor.azure.com'),
    httpClient: createUndiciHttpClient(agent),
  })

let folder: string
let ledger: Ledger
let arrivedBefore: number
let clock: ReturnType<typeof fixedClock>
let told: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-export-'))
  ledger = await createSqliteLedger({ file: ledgerFile() })
  arrivedBefore = emulator.logsIngestion.arrivals().length
  clock = fixedClock(1_790_000_000)
  told = []
})
afterEach(async () => {
  emulator.faults.clear()
  emulator.logsIngestion.letPublish(rule, ['countersign'])
  await emulator.logsIngestion.comeBack()
  await ledger.close()
  rmSync(folder, { recursive: true })
})

const ledgerFile = () => join(folder, 'countersign.db')
const cursorFile = () => join(folder, 'cursor')

const append = (count: number, from = 0) =>
  ledger.append(
    Array.from({ length: count }, (_, index) => startedEntry(`run ${String(from + index)}`)),
  )

const eventsInto = (lines: string[]): ExportEvents => ({
  waiting: () => undefined,
  sent: (rows, { sequence }) => lines.push(`${String(rows)} up to ${String(sequence)}`),
  caughtUp: () => lines.push('caught up'),
  elsewhere: () => lines.push('elsewhere'),
  failed: ({ code }, retryInMs) => lines.push(`${code} for ${String(retryInMs)}`),
  beganAnew: ({ sequence }) => lines.push(`anew instead of ${String(sequence)}`),
})

function exportTo(
  to: LogDestination,
  cursor = createFileExportCursor(cursorFile(), to.name),
): EntryExport {
  return createEntryExport({
    tail: tailOfFile(ledgerFile()),
    cursor,
    destination: to,
    deployment,
    clock,
    random: () => 1,
    events: eventsInto(told),
  })
}

const letPublish = (principals: readonly string[]) => {
  emulator.logsIngestion.letPublish(rule, principals)
  return Promise.resolve()
}

const sequences = () =>
  emulator.logsIngestion
    .arrivals()
    .slice(arrivedBefore)
    .map(({ row }) => row['Sequence'])
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

const fault = (kind: string, more: object = {}) => {
  emulator.faults.add(faultSchema.parse({ at: 'monitor', kind, ...more }))
}

describe('entries', () => {
  test('arrive once each and in order, more than one page of them', async () => {
    await append(1200)
    const entries = exportTo(destination)
    await entries.look()
    expect(sequences()).toEqual(upTo(1200))
    expect(told.at(-1)).toBe('caught up')
    await append(2, 1200)
    await entries.look()
    expect(sequences()).toEqual(upTo(1202))
  })

  test('that have arrived are not sent again by the next run', async () => {
    await append(3)
    await exportTo(destination).look()
    await append(1, 3)
    await exportTo(destination).look()
    expect(sequences()).toEqual(upTo(4))
  })

  test('are sent from the first one to another place', async () => {
    await append(3)
    await exportTo(destination).look()
    await exportTo({ ...destination, name: 'elsewhere' }).look()
    expect(sequences()).toEqual([...upTo(3), ...upTo(3)])
  })

  test('of a page that arrived, but not the answer, arrive twice with the same ids', async () => {
    await append(2)
    fault('drop-after')
    const entries = exportTo(destination)
    await entries.look()
    expect(told).toEqual(['EXPORT_UNAVAILABLE for 2000'])
    clock.advance(2)
    await entries.look()
    expect(sequences()).toEqual([1, 2, 1, 2])
    const ids = emulator.logsIngestion.arrivals().slice(arrivedBefore)
    expect(new Set(ids.map(({ row }) => row['EntryId'])).size).toBe(2)
  })

  test('of a ledger that was put in place of the one before are all sent, and that is said', async () => {
    await append(3)
    await exportTo(destination).look()
    await ledger.close()
    rmSync(ledgerFile())
    ledger = await createSqliteLedger({ file: ledgerFile() })
    await append(5, 100)
    await exportTo(destination).look()
    expect(told).toContain('anew instead of 3')
    expect(sequences()).toEqual([...upTo(3), ...upTo(5)])
    told = []
    await exportTo(destination).look()
    expect(told).toEqual(['caught up'])
  })

  test('of a ledger that was set back are not passed over when it has grown again', async () => {
    await append(5)
    await exportTo(destination).look()
    await ledger.close()
    rmSync(ledgerFile())
    ledger = await createSqliteLedger({ file: ledgerFile() })
    await append(2, 100)
    await exportTo(destination).look()
    expect(told).toContain('anew instead of 5')
    expect(sequences()).toEqual([...upTo(5), ...upTo(2)])
  })
})

describe('while nothing can be sent', () => {
  test.each([
    {
      name: 'away',
      code: 'EXPORT_UNAVAILABLE',
      begin: () => emulator.logsIngestion.leave(),
      end: () => emulator.logsIngestion.comeBack(),
    },
    {
      name: 'without the role',
      code: 'EXPORT_FORBIDDEN',
      begin: () => letPublish([]),
      end: () => letPublish(['countersign']),
    },
  ])(
    '$name, it asks ever less often, keeps everything, and then sends it',
    async ({ code, begin, end }) => {
      await append(4)
      await begin()
      const entries = exportTo(destination)
      for (const seconds of [0, 2, 1, 3, 8]) {
        clock.advance(seconds)
        await entries.look()
      }
      expect(told).toEqual([2000, 4000, 8000, 16_000].map((ms) => `${code} for ${String(ms)}`))
      expect(sequences()).toEqual([])
      await end()
      clock.advance(16)
      await entries.look()
      expect(sequences()).toEqual(upTo(4))
    },
  )

  test.each([
    ['throttle', {}, 'EXPORT_THROTTLED'],
    ['server-error', { status: 500 }, 'EXPORT_UNAVAILABLE'],
    ['drop-before', {}, 'EXPORT_UNAVAILABLE'],
  ])('because of %s, that is said, and it arrives later', async (kind, more, code) => {
    await append(1)
    fault(kind, more)
    const entries = exportTo(destination)
    await entries.look()
    expect(told).toEqual([`${code} for 2000`])
    clock.advance(2)
    await entries.look()
    expect(sequences()).toEqual([1])
  })

  test('a pause lasts as long as the other side asks, and never longer than five minutes', async () => {
    await append(1)
    const refuse = (retryAfterMs: number): LogDestination => ({
      ...destination,
      send: () => Promise.reject(new ExportError('EXPORT_THROTTLED', { retryAfterMs })),
    })
    await exportTo(refuse(60_000)).look()
    await exportTo(refuse(900_000)).look()
    expect(told).toEqual(['EXPORT_THROTTLED for 60000', 'EXPORT_THROTTLED for 300000'])
  })

  test('a rule or a stream that is not there is told from a role that is not', async () => {
    await append(1)
    const { logsIngestion } = emulator.endpoints
    for (const [place, code] of [
      [
        { rule: `dcr-${'f'.repeat(32)}`, stream: 'Custom-CountersignLedger' },
        'EXPORT_RULE_MISSING',
      ],
      [{ rule, stream: 'Custom-Other' }, 'EXPORT_REJECTED'],
    ] as const) {
      const elsewhere = await createLogAnalytics(
        { endpoint: logsIngestion, audience: 'https://monitor.azure.com', ...place },
        {
          credential: emulator.credential('countersign', 'https://monitor.azure.com'),
          httpClient: createUndiciHttpClient(agent),
        },
      )
      await exportTo(elsewhere).look()
      expect(told.at(-1)).toBe(`${code} for 2000`)
    }
  })

  test('a token that is not for it is told from all of these', async () => {
    await append(1)
    const stranger = await createLogAnalytics(
      {
        endpoint: emulator.endpoints.logsIngestion,
        rule,
        stream: 'Custom-CountersignLedger',
        audience: 'https://monitor.azure.com',
      },
      {
        credential: emulator.credential('countersign', 'https://vault.azure.net'),
        httpClient: createUndiciHttpClient(agent),
      },
    )
    await exportTo(stranger).look()
    expect(told).toEqual(['EXPORT_CREDENTIAL for 2000'])
  })

  test('a cursor that cannot be kept stops the next page, not the ledger', async () => {
    await append(1)
    const inNoFolder = createFileExportCursor(join(folder, 'absent', 'cursor'), destination.name)
    await expect(inNoFolder.advance(genesis)).rejects.toMatchObject({
      code: 'EXPORT_CURSOR_FAILED',
    })
    await append(1, 1)
  })

  test('a cursor that says nothing begins at the first entry', async () => {
    await append(2)
    writeFileSync(cursorFile(), '{')
    await exportTo(destination).look()
    expect(sequences()).toEqual(upTo(2))
  })
})

describe('where another replica has the turn', () => {
  const inTurn = (take: boolean, advance: boolean) =>
    createEntryExport({
      tail: tailOfFile(ledgerFile()),
      cursor: {
        take: () => Promise.resolve(take ? genesis : undefined),
        advance: () => Promise.resolve(advance),
        release: () => Promise.resolve(),
      },
      destination,
      deployment,
      clock,
      random: () => 1,
      events: eventsInto(told),
    })

  test('nothing is sent', async () => {
    await append(3)
    await inTurn(false, true).look()
    expect(told).toEqual(['elsewhere'])
    expect(sequences()).toEqual([])
  })

  test('since something was sent, it ends there', async () => {
    await append(600)
    await inTurn(true, false).look()
    expect(told).toEqual(['elsewhere'])
    expect(sequences()).toEqual(upTo(500))
  })
})

describe('at the end of a run', () => {
  test('what is under way is left, and the last entries are sent', async () => {
    await append(1)
    fault('delay', { delayMs: 20_000 })
    const entries = exportTo(destination)
    const looking = entries.look()
    await new Promise((resolve) => setTimeout(resolve, 200))
    entries.leaveOff()
    await looking
    await append(1, 1)
    await entries.finish(5000)
    expect(sequences().slice(-2)).toEqual([1, 2])
    expect(told.filter((one) => one.startsWith('EXPORT'))).toEqual([])
  })

  test('nothing waits for a credential that does not hear of the end', async () => {
    await append(1)
    const asked = Promise.withResolvers<undefined>()
    const deaf = await createLogAnalytics(streamThere(), {
      credential: {
        getToken: () => {
          asked.resolve(undefined)
          return new Promise(() => undefined)
        },
      },
      httpClient: createUndiciHttpClient(agent),
    })
    const entries = exportTo(deaf)
    const looking = entries.look()
    await asked.promise
    entries.leaveOff()
    await looking
    expect(told).toEqual([])
  })

  test('the turn is given back behind the last send, and only then', async () => {
    await append(1)
    const cursor = createFileExportCursor(cursorFile(), destination.name)
    const givenBackBehind: unknown[][] = []
    const entries = exportTo(destination, {
      ...cursor,
      release: () => {
        givenBackBehind.push(sequences())
        return cursor.release()
      },
    })
    await entries.look()
    await append(1, 1)
    expect(givenBackBehind).toEqual([])
    await entries.finish(5000)
    expect(givenBackBehind).toEqual([[1, 2]])
  })

  test('a turn that cannot be given back keeps nothing from ending', async () => {
    const entries = exportTo(destination, {
      ...createFileExportCursor(cursorFile(), destination.name),
      release: () => Promise.reject(new ExportError('EXPORT_CURSOR_FAILED')),
    })
    await entries.finish(5000)
    expect(told).toEqual(['caught up'])
  })

  test('it ends in time when nobody answers', async () => {
    await append(1)
    fault('delay', { delayMs: 20_000 })
    await exportTo(destination).finish(100)
    expect(told).toEqual([])
  })
})

/** Takes so many rows at once, and not one more. */
function narrowDestination(rowsMax: number) {
  const calls: (readonly LogRow[])[] = []
  const narrow: LogDestination = {
    name: 'narrow',
    batchBytesMax: 900_000,
    send: (rows) => {
      if (rows.length > rowsMax) return Promise.reject(new ExportError('EXPORT_TOO_LARGE'))
      calls.push(rows)
      return Promise.resolve()
    },
  }
  return { narrow, calls }
}

describe('batches', () => {
  test('that are too large after all are halved until they fit', async () => {
    await append(10)
    const { narrow, calls } = narrowDestination(3)
    await exportTo(narrow).look()
    expect(calls.flat().map(({ Sequence }) => Sequence)).toEqual(upTo(10))
    expect(Math.max(...calls.map(({ length }) => length))).toBeLessThanOrEqual(3)
  })

  test('of one row that does not fit keep what follows, loudly, and what precedes has arrived', async () => {
    await append(5)
    const { narrow, calls } = narrowDestination(100)
    const refusing: LogDestination = {
      ...narrow,
      send: (rows, stop) =>
        rows.some(({ Sequence }) => Sequence === 4)
          ? Promise.reject(new ExportError('EXPORT_TOO_LARGE'))
          : narrow.send(rows, stop),
    }
    const entries = exportTo(refusing)
    await entries.look()
    expect(calls.flat().map(({ Sequence }) => Sequence)).toEqual(upTo(3))
    expect(told.at(-1)).toBe('EXPORT_TOO_LARGE for 2000')
    await exportTo(narrow).look()
    expect(calls.flat().map(({ Sequence }) => Sequence)).toEqual(upTo(5))
  })

  test('stay below the bytes that a call may have, and lose no row', () => {
    const rows = chainedRows(Array.from({ length: 50 }, (_, index) => startedEntry(String(index))))
    const prepared = rows.map((link) => ({
      link,
      row: { Sequence: link.sequence, Kind: 'x'.repeat(link.sequence * 3) },
    }))
    const batches = batchesOf(prepared, 400)
    expect(batches.flat()).toEqual(prepared)
    for (const batch of batches) {
      const bytes = Buffer.byteLength(JSON.stringify(batch.map(({ row }) => row)))
      expect(bytes).toBeLessThanOrEqual(400)
    }
    expect(batches.length).toBeGreaterThan(5)
  })
})

describe('what follows an entry', () => {
  const rows = chainedRows(['a', 'b', 'c'].map(startedEntry))
  const [first, second, third] = rows.map((row) => row)

  test('is all of it at the beginning, and nothing at the end', () => {
    expect(rowsBehind(genesis, rows)).toEqual(rows)
    expect(rowsBehind(genesis, [])).toEqual([])
    expect(rowsBehind(required(third), [required(third)])).toEqual([])
  })

  test('is known by the chain where the entry itself was pruned', () => {
    expect(rowsBehind(required(first), [required(second), required(third)])).toEqual([
      second,
      third,
    ])
    expect(rowsBehind(required(first), [required(third)])).toBeUndefined()
  })

  test('is unknown where another entry is in its place, or none', () => {
    const [other] = chainedRows([startedEntry('other')])
    expect(rowsBehind(required(other), rows)).toBeUndefined()
    expect(rowsBehind(required(third), [])).toBeUndefined()
  })
})
