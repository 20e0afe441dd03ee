import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { canonicalCut, type Cut } from '../../src/ledger/cut.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { exportedLine } from '../../src/ledger/exported-ledger.ts'
import { putCut } from '../../src/ledger/ledger-file.ts'
import { readRows } from '../../src/ledger/read.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { changeFile } from '../support/ledger-store.ts'
import {
  callerMissing,
  callerNotProven,
  expectNothingPrivate,
  expectProblem,
} from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  defaultGrants,
  type GrantFile,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { expectTurnedAway, lineOf } from '../support/turned-away.ts'

const auditors: GrantFile = {
  grant: 'auditors',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ audit: 'read' }],
}

/** Gives tokens too, and its reading is only tried. */
const tried: GrantFile = {
  grant: 'tried',
  caller: { issuer: 'github', claims: { repository_id: '123456' } },
  may: [{ audit: 'read' }],
  mode: 'dry-run',
}

const incidentResponse: GrantFile = {
  grant: 'incident-response',
  caller: { issuer: 'cluster', claims: { sub: 'system:serviceaccount:orders:api' } },
  may: [{ admin: 'revoke' }],
}

const notGranted = {
  status: 403,
  code: 'not_granted',
  title: 'Not granted',
  detail:
    'No grant allows this caller what it asks for. Check application, tenant and scope; the operator ' +
    'finds the reason by the attempt id.',
}

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterAll(() => emulator.stop())

let service: TestService
beforeEach(async () => {
  service = await startTestService({
    emulator,
    configuration: (file) => ({ ...file, listen: { ...file.listen, maxRequestsPerCaller: 3 } }),
    grants: [...defaultGrants, auditors, tried, incidentResponse],
  })
})
afterEach(() => service.stop())

const auditor = (sub?: string) =>
  service.callerToken('gitlab', sub === undefined ? {} : { claims: { sub } })
const onCall = () =>
  service.callerToken('cluster', { claims: { sub: 'system:serviceaccount:orders:api' } })

const read = async (query = '', token: Promise<string> = auditor()) =>
  service.ask(`GET /v1/entries${query}`, { token: await token })
const readLines = async (query = '') =>
  service.ask(`GET /v1/entries${query}`, {
    token: await auditor(),
    headers: { accept: 'application/jsonl' },
  })
const issue = async () =>
  service.ask('POST /v1/token', {
    token: await service.callerToken('fabrikam-orders'),
    json: ordersAsk,
  })

interface EntriesBody {
  readonly entries: readonly { readonly sequence: number; readonly entry: Entry }[]
  readonly cut?: Cut
  readonly next: number
}
const bodyOf = (answer: Awaited<ReturnType<typeof read>>) => answer.body as EntriesBody

const exported = () => [...readRows(service.ledgerFile)].map(exportedLine)
const readingsIn = (entries: readonly Entry[]) =>
  entries.filter((entry) => entry.kind === 'audit.read')

describe('an auditor', () => {
  test('is given the entries in their order, page by page, to the last', async () => {
    await issue()
    const pages = [await read('?limit=3')]
    while (bodyOf(required(pages.at(-1))).entries.length > 0) {
      pages.push(await read(`?after=${bodyOf(required(pages.at(-1))).next}&limit=3`))
    }

    const all = pages.flatMap((page) => bodyOf(page).entries)
    expect(all.map(({ entry }) => entry)).toEqual(service.entries())
    expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, index) => index + 1))
    expect(pages.length).toBeGreaterThan(3)
  })

  test('is given the very lines of an export, which the chain can be followed in', async () => {
    await issue()
    const first = await readLines('?limit=2')
    expect(first.headers['content-type']).toBe('application/jsonl')
    const rest = await readLines('?after=2')
    expect(first.text + rest.text).toBe(exported().join(''))
    expect(exported().length).toBeGreaterThan(5)
  })

  test.each([
    ['text/html, application/jsonl;q=0.9', 'application/jsonl'],
    ['Application/JSONL', 'application/jsonl'],
    ['*/*', 'application/json'],
    ['application/jsonlines', 'application/json'],
  ])('that accepts %s is answered in %s', async (accept, type) => {
    const token = await auditor()
    const answer = await service.ask('GET /v1/entries', { token, headers: { accept } })
    expect(answer.headers['content-type']).toBe(type)
  })

  test('of the newest entry is told that there is nothing behind it yet', async () => {
    await read()
    const { length } = service.entries()
    const answer = await read(`?after=${length}`)
    expect(answer.status).toBe(200)
    expect(bodyOf(answer)).toMatchObject({ entries: [], next: length })
    expect((await readLines(`?after=${length}`)).text).toBe('')
  })

  test('that has an entry which the ledger has not is told so', async () => {
    await read()
    expectProblem(await read('?after=100000'), {
      status: 409,
      code: 'entries_missing',
      title: 'The ledger ends before that entry',
      detail: 'It is another ledger than the one that had this entry, or an earlier state of it.',
    })
  })

  test('has a page that ends at about a megabyte, however many are asked for, and goes on behind it', async () => {
    const filler = randomBytes(24_000).toString('base64url')
    const entries = Array.from({ length: 150 }, () => ({
      kind: 'service.turned-away' as const,
      atMs: 0,
      reason: filler,
      count: 1,
      minuteStartMs: 0,
    }))
    await service.service.ledger.append(entries)
    const first = await readLines('?limit=1000')
    const lines = first.text.split('\n').length - 1
    expect(Buffer.byteLength(first.text)).toBeLessThan(5 * 1024 * 1024)
    expect(lines).toBeLessThan(service.entries().length)
    const rest = await readLines(`?after=${lines}&limit=1000`)
    expect(first.text + rest.text).toBe(exported().join(''))
  })

  test.each([
    '?after=-1',
    '?after=1.5',
    '?after=',
    '?after=9007199254740992',
    '?limit=0',
    '?limit=1001',
    '?after=1&after=2',
    '?from=1',
    '?after=eve-was-here',
  ])('that asks for %s is told which parameters there are', async (query) => {
    const answer = await read(query)
    expectProblem(answer, {
      status: 400,
      code: 'request_invalid',
      title: 'The request is not valid',
      detail: 'The parameters are after and limit, each at most once, as openapi.yaml says.',
    })
    expect(answer.text).not.toContain('eve')
    expect(readingsIn(service.entries())).toEqual([])
  })

  test('that sends a secret in the address is refused, and it is nowhere', async () => {
    const answer = await read('?client_secret=eve-was-here')
    expect(answer).toMatchObject({ status: 400, body: { code: 'request_invalid' } })
    expect([answer.text, ...service.log()].join()).not.toContain('eve-was-here')
  })

  test('uses GET: others change nothing', async () => {
    const token = await auditor()
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD']) {
      const answer = await service.ask(`${method} /v1/entries`, { token })
      expect(answer.status).toBe(405)
      expect(answer.headers.allow).toBe('GET')
    }
  })
})

describe('of a ledger that was pruned, an auditor', () => {
  const prunedUpTo = 3
  let pruned: Cut
  beforeEach(async () => {
    await issue()
    pruned = prune(service.ledgerFile, prunedUpTo)
  })

  test('is told so once, and that is no entry', async () => {
    const answer = await read()
    expect(bodyOf(answer).cut).toEqual(pruned)
    const [first] = bodyOf(answer).entries
    expect(first?.sequence).toBe(prunedUpTo + 1)
    const behind = await read(`?after=${bodyOf(answer).next}`)
    expect(bodyOf(behind)).not.toHaveProperty('cut')
    expect(bodyOf(await read(`?after=${prunedUpTo}`))).not.toHaveProperty('cut')
  })

  test('that has some of what is gone is told it too', async () => {
    expect(bodyOf(await read('?after=1&limit=1'))).toMatchObject({
      cut: pruned,
      entries: [{ sequence: prunedUpTo + 1 }],
      next: prunedUpTo + 1,
    })
  })

  test('comes to the end however small the pages are', async () => {
    const pages = [await read('?limit=1')]
    while (bodyOf(required(pages.at(-1))).entries.length > 0) {
      pages.push(await read(`?after=${bodyOf(required(pages.at(-1))).next}&limit=1`))
    }
    const all = pages.flatMap((page) => bodyOf(page).entries.map(({ sequence }) => sequence))
    expect(all).toEqual(all.map((_, index) => prunedUpTo + 1 + index))
    expect(all.at(-1)).toBe([...readRows(service.ledgerFile)].at(-1)?.sequence)
    expect(all.length).toBeGreaterThan(3)
  })

  test('is given the very lines of an export, the first of which says it', async () => {
    const first = await readLines('?limit=1')
    expect(first.text).toBe(exported().slice(0, 2).join(''))
    expect(first.text).toMatch(/^\{"sequence":3,"hash":"[0-9a-f]{64}","cut":\{/)
    const rest = await readLines(`?after=${prunedUpTo + 1}`)
    expect(first.text + rest.text).toBe(exported().join(''))
  })
})

/** As `ledger prune` leaves it, but for the head, which nobody here looks at. */
function prune(file: string, sequence: number): Cut {
  const [first, last] = [...readRows(file)].filter((row) => [1, sequence].includes(row.sequence))
  const base64url = (hash: Uint8Array) => Buffer.from(hash).toString('base64url')
  const cut: Cut = {
    kind: 'ledger.cut',
    atMs: 1_790_000_000_000,
    ledger: base64url(required(first).hash),
    from: 1,
    sequence,
    hash: base64url(required(last).hash),
    head: 'none',
    heldBy: 'witness',
    by: 'owner',
    headKeys: [],
    certificates: [],
  }
  const db = new DatabaseSync(file, { timeout: 10_000 })
  try {
    db.exec(`BEGIN IMMEDIATE; DELETE FROM entry WHERE sequence <= ${sequence}`)
    putCut(db, canonicalCut(cut))
    db.exec('COMMIT')
  } finally {
    db.close()
  }
  return cut
}

describe('who may', () => {
  test.each([
    ['a caller with grants for tokens', () => service.callerToken('fabrikam-orders')],
    ['a caller whose grant for it is only tried', () => service.callerToken('github')],
    ['whoever may stop things', onCall],
  ])('%s may not', async (_, token) => {
    service.newEntries()
    const sent = await token()
    expectTurnedAway(service, await read('', token()), notGranted, { token: sent })
    await service.service.turnedAway.roll('every')
    expect(service.newEntries()).toMatchObject([
      { kind: 'service.turned-away', reason: 'grant_missing', count: 1 },
    ])
  })

  test('a proven caller that no grant names may not', async () => {
    const stranger = () => service.callerToken('gitlab', { claims: { project_id: '999' } })
    service.newEntries()
    expectTurnedAway(service, await read('', stranger()), notGranted, { token: await stranger() })
  })

  test('nobody may without proof', async () => {
    service.newEntries()
    expectTurnedAway(service, await service.ask('GET /v1/entries'), callerMissing, {})
    const answer = await read('', Promise.resolve('no-token'))
    expectTurnedAway(service, answer, callerNotProven, { token: 'no-token' })
  })

  test('an auditor gets no token by it, and may stop nothing', async () => {
    const token = await auditor()
    expect(await service.ask('POST /v1/token', { token, json: ordersAsk })).toMatchObject({
      status: 403,
      body: { code: 'not_granted' },
    })
    expect(await service.ask('GET /v1/revocations', { token })).toMatchObject({ status: 403 })
  })

  test.each([
    ['itself', () => ({ caller: { issuer: 'gitlab', subject: 'auditor' } })],
    ['its grant', () => ({ grant: 'auditors' })],
    ['its issuer', () => ({ issuer: 'gitlab' })],
  ])(
    'an auditor that is stopped by %s is refused, and reads again when that is lifted',
    async (_, named) => {
      const ofAuditor = () => auditor('auditor')
      expect((await read('', ofAuditor())).status).toBe(200)
      const token = await onCall()
      const revoked = await service.ask('POST /v1/revocations', { token, json: named() })
      const { id } = (revoked.body as { revocation: { id: string } }).revocation

      const refused = await read('', ofAuditor())
      expect(refused).toMatchObject({ status: 403, body: { code: 'revoked' } })
      expectNothingPrivate(refused, service, { token: await ofAuditor() })

      await service.ask(`DELETE /v1/revocations/${id}`, { token })
      expect((await read('', ofAuditor())).status).toBe(200)
    },
  )
})

describe('that somebody reads', () => {
  test('is in the ledger before it is answered: who, by which grant, and in which attempt', async () => {
    service.newEntries()
    const answer = await read()
    expect(service.newEntries()).toMatchObject([
      {
        kind: 'audit.read',
        attempt: answer.headers['countersign-attempt'],
        caller: { issuer: 'gitlab' },
        grant: 'auditors',
        read: 'entries',
        times: 1,
      },
    ])
    // It is the last of what was read.
    expect(bodyOf(answer).entries.at(-1)?.entry.kind).toBe('audit.read')
  })

  test('again and again is counted, and not one line each', async () => {
    service.newEntries()
    for (let i = 0; i < 7; i += 1) await read(`?after=${service.entries().length}`)
    await read('', auditor('somebody-else'))
    expect(service.newEntries()).toHaveLength(2)
    await service.service.auditReads.roll('ended-periods')
    expect(service.newEntries()).toEqual([])

    service.emulator.clock.shift(10 * 60)
    await service.service.auditReads.roll('ended-periods')
    expect(readingsIn(service.newEntries())).toMatchObject([{ times: 6 }])
    await read()
    expect(readingsIn(service.newEntries())).toMatchObject([{ times: 1 }])
  })

  test('of several at once is counted, each of them', async () => {
    const answers = await Promise.all(
      ['a', 'b', 'a', 'b', 'a'].map((sub) => read('', auditor(sub))),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await service.service.auditReads.roll('every')
    const times = readingsIn(service.entries()).map((entry) => entry.times)
    expect(times.reduce((sum, one) => sum + one, 0)).toBe(5)
  })

  test('cannot be written: then nobody reads', async () => {
    changeFile(
      service.ledgerFile,
      `CREATE TRIGGER full BEFORE INSERT ON entry
       BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
    )
    expect(await read()).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } })
  })
})

describe('reading', () => {
  test('of one caller is as much as others may have under way, and keeps it from nothing else', async () => {
    const token = await auditor()
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => service.ask('GET /v1/entries', { token })),
    )
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 429]))
    const refused = required(answers.find(({ status }) => status === 429))
    expect(refused.body).toMatchObject({ code: 'too_many_requests' })
    expect((await read()).status).toBe(200)
  })

  test('of a ledger that cannot be read is a failure that says so, in the protected log too', async () => {
    await read()
    changeFile(service.ledgerFile, 'ALTER TABLE entry RENAME COLUMN hash TO hash_gone')
    const answer = await read('?after=1')
    expectProblem(answer, {
      status: 503,
      code: 'ledger_unreadable',
      title: 'The ledger cannot be read',
      detail: 'It does not answer at the moment. Try again later.',
      retryAfterSeconds: 5,
    })
    expectNothingPrivate(answer, service, { token: await auditor() })
    expect(lineOf(service, answer)).toMatchObject({ code: 'LEDGER_UNREADABLE' })
  })
})

test('a page of another site learns nothing', async () => {
  const token = await auditor()
  const headers = { origin: 'https://page.example', 'sec-fetch-site': 'cross-site' }
  const answer = await service.ask('GET /v1/entries', { token, headers })
  expect(answer).toMatchObject({ status: 403, body: { code: 'cross_site' } })
  expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual(
    [],
  )
})
