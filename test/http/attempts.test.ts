import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Entry } from '../../src/ledger/entry.ts'
import { type CommandResult, programsIn, runCommand } from '../support/command-line.ts'
import { signing, strike } from '../support/faults.ts'
import { expectNothingPrivate, expectProblem } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  cast,
  defaultGrants,
  deployAsk,
  eachExchangeSigns,
  type GrantFile,
  longLivedWorld,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

const auditors: GrantFile = {
  grant: 'auditors',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ audit: 'read' }],
}

let service: TestService
let folder: string
let path: string
beforeAll(async () => {
  service = await startTestService({
    world: longLivedWorld,
    configuration: eachExchangeSigns,
    grants: [...defaultGrants, auditors],
  })
  folder = mkdtempSync(join(tmpdir(), 'countersign-attempts-'))
  path = programsIn(folder)
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await service.stop()
})

const auditor = () => service.callerToken('gitlab')
const workload = () => service.callerToken('fabrikam-orders')
const pipeline = () => service.callerToken('github')

const askToken = async (scope: string = cast.orders) =>
  service.ask('POST /v1/token', { token: await workload(), json: { ...ordersAsk, scope } })
const askAssertion = async () =>
  service.ask('POST /v1/assertion', { token: await pipeline(), json: deployAsk })
const attemptOf = ({ headers }: Answer) => String(headers['countersign-attempt'])

interface Story {
  readonly entries: readonly { readonly sequence: number; readonly entry: Entry }[]
  readonly complete: boolean
}

const readStory = async (id: string) =>
  service.ask(`GET /v1/attempts/${id}`, { token: await auditor() })
const kindsIn = (answer: Answer) => (answer.body as Story).entries.map(({ entry }) => entry.kind)

const ofToken = [
  'request.granted',
  'signature.begun',
  'signature.made',
  'exchange.succeeded',
  'token.issued',
]

describe('what the ledger has of an attempt', () => {
  let first: string
  test('that obtained a token is its decision, its signature, its exchange and how it ended', async () => {
    first = attemptOf(await askToken())
    const answer = await readStory(first)
    expect(answer.body).toMatchObject({ id: first, complete: true })
    expect(kindsIn(answer)).toEqual(ofToken)
  })

  test('that was served from the cache is how it ended, and the attempt that obtained the token', async () => {
    const id = attemptOf(await askToken())
    const answer = await readStory(id)
    expect(kindsIn(answer)).toEqual([...ofToken.slice(0, -1), 'token.issued'])
    const { entries } = answer.body as Story
    expect(entries.at(-1)?.entry).toMatchObject({ attempt: id, obtainedBy: first })
    expect(entries[0]?.entry).toMatchObject({ attempt: first })
  })

  test('that got an assertion is that too', async () => {
    const id = attemptOf(await askAssertion())
    const before = ['request.granted', 'signature.begun', 'signature.made', 'assertion.issued']
    expect(kindsIn(await readStory(id))).toEqual(before)
  })

  test('that failed is how it failed', async () => {
    strike(service.emulator, { ...signing, kind: 'throttle' })
    const id = attemptOf(await askAssertion())
    expect(kindsIn(await readStory(id))).toEqual([
      'request.granted',
      'signature.begun',
      'signature.failed',
      'request.failed',
    ])
  })

  test('is in the very lines of the ledger, found in a crowd of others', async () => {
    const id = attemptOf(await askToken(cast.eventHubs))
    const others = Array.from({ length: 2000 }, (_, index) => ({
      kind: 'service.turned-away' as const,
      atMs: service.clock.nowMs(),
      reason: `${index}`,
      count: 1,
      minuteStartMs: 0,
    }))
    await service.service.ledger.append(others)
    const { entries } = (await readStory(id)).body as Story
    const all = service.entries()
    expect(entries.map(({ entry }) => entry)).toEqual(
      entries.map(({ sequence }) => all[sequence - 1]),
    )
    expect(entries.length).toBeGreaterThanOrEqual(4)
  })

  test('that it does not know is said to be unknown', async () => {
    const answer = await readStory('0198c0de-0000-7000-8000-000000000001')
    expectProblem(answer, {
      status: 404,
      code: 'attempt_unknown',
      title: 'No such attempt',
      detail:
        'The ledger has nothing of it about the time at which its id was made. What a stranger asks for is ' +
        'counted, and only in the protected log.',
    })
  })

  test.each(['eve-was-here', '0198c0de', '%2e%2e'])('has no id such as %s', async (id) => {
    const answer = await readStory(id)
    expect(answer).toMatchObject({ status: 400, body: { code: 'request_invalid' } })
    expect(answer.text).not.toContain('eve')
  })

  test('is for auditors alone, and that one has read it is in the ledger', async () => {
    const token = await workload()
    service.newEntries()
    const refused = await service.ask(`GET /v1/attempts/${first}`, { token })
    expect(refused).toMatchObject({ status: 403, body: { code: 'not_granted' } })
    expectNothingPrivate(refused, service, { token })
    expect(service.newEntries()).toEqual([])
    expect(await service.ask(`GET /v1/attempts/${first}`)).toMatchObject({ status: 401 })
    await service.service.auditReads.roll('every')
    await readStory(first)
    expect(service.newEntries().at(-1)).toMatchObject({ kind: 'audit.read', read: 'attempt' })
  })
})

describe('countersign attempt', () => {
  const run = (command: string): Promise<CommandResult> =>
    runCommand(
      command,
      {
        PATH: path,
        LEDGER: service.ledgerFile,
        VAULT_LOG: service.emulator.endpoints.vaultLogFolder,
        SIGNIN_LOG: service.emulator.endpoints.entraLogFolder,
        URL: service.origin,
      },
      folder,
    )
  const logs = '--vault-log "$VAULT_LOG" --signin-log "$SIGNIN_LOG"'

  test('joins the records of the vault and of Entra to what the ledger has, in the order of time', async () => {
    const id = attemptOf(await askToken(cast.eventHubs))
    const { code, stdout } = await run(
      `countersign attempt ${id} --ledger "$LEDGER" ${logs} --json`,
    )
    const story = JSON.parse(stdout) as {
      readonly events: readonly { atMs: number; from: string; what: string; joinedBy?: string }[]
      readonly notFound: readonly object[]
      readonly notLookedAt: readonly string[]
    }
    expect(code).toBe(0)
    const records = story.events.filter(({ from }) => from !== 'ledger')
    // Entra's times are whole seconds, so that its record may stand before the vault's.
    expect(records.toSorted((a, b) => b.from.localeCompare(a.from))).toMatchObject([
      { from: 'vault-log', what: 'KeySign 200', joinedBy: 'x-ms-request-id' },
      { from: 'signin-log', what: 'sign-in', joinedBy: 'entra-trace-id' },
    ])
    expect(story.events.map(({ atMs }) => atMs)).toEqual(
      story.events.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
    )
    expect(story).toMatchObject({ notFound: [], notLookedAt: ['audit-log'] })
  })

  test('finds the signature whose answer was lost by its nonce', async () => {
    strike(service.emulator, { ...signing, kind: 'drop-after' })
    const id = attemptOf(await askAssertion())
    const { stdout } = await run(
      `countersign attempt ${id} --ledger "$LEDGER" --vault-log "$VAULT_LOG"`,
    )
    expect(stdout).toMatch(/Key Vault’s log +KeySign 200 +\(joined by the nonce of the signature\)/)
    expect(stdout).toContain('Not looked at: Entra’s sign-ins (--signin-log).')
    expect(stdout).not.toContain('Not found')
  })

  test('says what no log has, and what was not looked at', async () => {
    const id = attemptOf(await askAssertion())
    const empty = join(folder, 'other.json')
    const records = service.vaultRecords()
    writeFileSync(empty, `${JSON.stringify(required(records[0]))}\n`)
    const { code, stdout } = await run(
      `countersign attempt ${id} --ledger "$LEDGER" --vault-log '${empty}'`,
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Not found: a record of signature [0-9a-f-]{36} in Key Vault’s log\.$/m)
    const alone = await run(`countersign attempt ${id} --ledger "$LEDGER"`)
    expect(alone.stdout).toContain('Not looked at: Key Vault’s log (--vault-log).')
    expect(alone.stdout).not.toContain('Not found')
  })

  test('reads an export, and asks the service for whoever has no ledger: the same story', async () => {
    const id = attemptOf(await askAssertion())
    writeFileSync(join(folder, 'auditor.jwt'), await auditor())
    const [file, exported, asked] = await Promise.all([
      run(`countersign attempt ${id} --ledger "$LEDGER" --json`),
      run(
        `countersign ledger export --ledger "$LEDGER" > all.jsonl; countersign attempt ${id} --ledger all.jsonl --json`,
      ),
      run(`countersign attempt ${id} --url "$URL" --token-file auditor.jwt --json`),
    ])
    expect([exported.stderr, asked.stderr]).toEqual(['', ''])
    const eventsIn = ({ stdout }: CommandResult) =>
      (JSON.parse(stdout) as { events: unknown }).events
    expect(eventsIn(exported)).toEqual(eventsIn(file))
    expect(eventsIn(asked)).toEqual(eventsIn(file))
  })

  test('tells what it can when a log is not there, and exits with 2', async () => {
    const id = attemptOf(await askAssertion())
    const { code, stdout } = await run(
      `countersign attempt ${id} --ledger "$LEDGER" --vault-log missing`,
    )
    expect(code).toBe(2)
    expect(stdout).toContain('signature.made')
    expect(stdout).toContain('Not read to its end: Key Vault’s log: there is no missing.')
    expect(stdout).not.toContain('Not found')
  })

  test('reads what was pruned before what is left', async () => {
    const id = attemptOf(await askAssertion())
    const split =
      'countersign ledger export --ledger "$LEDGER" > whole.jsonl; head -n -1 whole.jsonl > old.jsonl; tail -n 1 whole.jsonl > left.jsonl'
    const whole = await run(`${split}; countersign attempt ${id} --ledger whole.jsonl --json`)
    const left = await run(`countersign attempt ${id} --ledger left.jsonl --json`)
    const both = await run(
      `countersign attempt ${id} --pruned old.jsonl --ledger left.jsonl --json`,
    )
    const eventsIn = ({ stdout }: CommandResult) =>
      (JSON.parse(stdout) as { events: readonly object[] }).events
    expect(eventsIn(both)).toEqual(eventsIn(whole))
    expect(eventsIn(left).length).toBeLessThan(eventsIn(both).length)
  })

  test('exits with 1 for an attempt that the ledger does not know, and 2 for what cannot be read', async () => {
    const id = '0198c0de-0000-7000-8000-000000000001'
    const unknown = await run(`countersign attempt ${id} --ledger "$LEDGER"`)
    expect(unknown.code).toBe(1)
    expect(unknown.stdout).toMatch(/^UNKNOWN: .* has nothing of attempt 0198c0de/)
    for (const options of [
      '--ledger missing.db',
      '--ledger "$LEDGER" --url https://countersign.example',
      '--pruned old.jsonl --url https://countersign.example',
      '--ledger "$LEDGER" --unknown',
    ]) {
      expect(await run(`countersign attempt ${id} ${options}`)).toMatchObject({ code: 2 })
    }
    expect(await run('countersign attempt not-an-id --ledger "$LEDGER"')).toMatchObject({ code: 2 })
  })
})

// The last, because ids tell the machine's time, and the emulated world's is another one from here on.
test('what the ledger has of an attempt is its proof too, when the assertion is dead', async () => {
  const id = attemptOf(await askAssertion())
  service.emulator.clock.shift(16 * 60)
  await service.service.proofs.publish()
  expect(kindsIn(await readStory(id)).at(-1)).toBe('signature.proved')
})
