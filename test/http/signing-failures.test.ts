import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Fault } from '../../src/emulator/faults.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { signing, strike } from '../support/faults.ts'
import { expectNothingPrivate, expectProblem, type ProblemWords } from '../support/problems.ts'
import {
  type Answer,
  cast,
  eachExchangeSigns,
  deployAsk,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Everything that can go wrong at the vault, on each route that signs. */

let emulator: TestEmulator
/** One for each test, because what has failed is remembered for a while. */
let service: TestService
let token: string

beforeAll(async () => {
  emulator = await startServiceEmulator()
})
beforeEach(async () => {
  service = await startTestService({ emulator, configuration: eachExchangeSigns })
  token = await service.callerToken('github')
})
afterEach(async () => {
  emulator.faults.clear()
  expect(JSON.stringify(service.entries())).not.toMatch(/eyJ[\w-]+\.eyJ/)
  expect(service.log().join('')).not.toMatch(/eyJ[\w-]+\.eyJ/)
  await service.stop()
})
afterAll(() => emulator.stop())

const throttled: ProblemWords = {
  status: 503,
  code: 'signing_throttled',
  title: 'Too much is to be signed',
  detail: 'The key is used as often as it may be. Try again later.',
  retryAfterSeconds: 10,
}
const unavailable: ProblemWords = {
  status: 503,
  code: 'signing_unavailable',
  title: 'Nothing can be signed now',
  detail: 'The key could not be reached. Try again later.',
  retryAfterSeconds: 5,
}
const paused: Omit<ProblemWords, 'retryAfterSeconds'> = {
  status: 503,
  code: 'signing_paused',
  title: 'The key is not asked again yet',
  detail: 'It failed a moment ago. Try again later.',
}
const broken: ProblemWords = {
  status: 503,
  code: 'signing_broken',
  title: 'Nothing can be signed',
  detail: 'The key cannot be used until the operator of this service has mended it.',
  retryAfterSeconds: 60,
}

interface Failure {
  readonly name: string
  readonly fault: Pick<Fault, 'kind'> & Partial<Fault>
  readonly code: string
  readonly applied: 'no' | 'unknown'
  readonly words: ProblemWords
  /** Status of the vault's record; absent where the request never arrived. */
  readonly recorded?: number
  /** Whether an answer came that says the vault's id of the request. */
  readonly answered: boolean
}

const failures: readonly Failure[] = [
  {
    name: 'throttledBeforeSigning',
    fault: { kind: 'throttle' },
    code: 'SIGNER_THROTTLED',
    applied: 'no',
    words: throttled,
    recorded: 429,
    answered: true,
  },
  {
    name: 'requestLost',
    fault: { kind: 'drop-before' },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    answered: false,
  },
  {
    name: 'signedThenReplyLost',
    fault: { kind: 'drop-after' },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    recorded: 200,
    answered: false,
  },
  {
    name: 'vaultDown',
    fault: { kind: 'server-error', status: 503 },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    recorded: 503,
    answered: true,
  },
  {
    name: 'vaultBroken',
    fault: { kind: 'server-error', status: 500 },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    recorded: 500,
    answered: true,
  },
  {
    name: 'signedThenVaultDown',
    fault: { kind: 'server-error-after', status: 503 },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    recorded: 200,
    answered: true,
  },
  {
    name: 'signedThenGatewayBroken',
    fault: { kind: 'server-error-after', status: 502 },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    recorded: 200,
    answered: true,
  },
  {
    name: 'signedThenProxyGaveUp',
    fault: { kind: 'server-error-after', status: 408 },
    code: 'SIGNER_TIMEOUT',
    applied: 'unknown',
    words: unavailable,
    recorded: 200,
    answered: true,
  },
  {
    name: 'signedThenReplyTakenAway',
    fault: { kind: 'server-error-after', status: 413 },
    code: 'SIGNER_UNAVAILABLE',
    applied: 'unknown',
    words: unavailable,
    recorded: 200,
    answered: true,
  },
  {
    name: 'signedWithAnotherValue',
    fault: { kind: 'wrong-signature' },
    code: 'SIGNER_WRONG_SIGNATURE',
    applied: 'unknown',
    words: broken,
    recorded: 200,
    answered: true,
  },
  {
    name: 'answeredHalf',
    fault: { kind: 'malformed' },
    code: 'SIGNER_UNRECOGNISED',
    applied: 'unknown',
    words: broken,
    recorded: 200,
    answered: true,
  },
]

const routes = {
  'POST /v1/token': ordersAsk,
  'POST /v1/assertion': deployAsk,
  [`GET /v1/assertion/deploy/${cast.fabrikam}`]: undefined,
} as const

type Signed = Extract<Entry, { kind: 'signature.begun' }>

describe.each(Object.entries(routes))('%s', (route, json) => {
  const ask = () => service.ask(route, { token, ...(json === undefined ? {} : { json }) })

  test.each(failures)('$name: $code', async (failure) => {
    strike(service.emulator, { ...signing, ...failure.fault })
    service.newEntries()
    const recordsBefore = service.vaultRecords().length
    const answer = await ask()

    expectProblem(answer, failure.words)
    expectNothingPrivate(answer, service, { token, values: [cast.fabrikam, cast.orders] })
    const attempt = answer.headers['countersign-attempt']
    const records = service.vaultRecords().slice(recordsBefore)
    expect(records.map(({ properties }) => properties.httpStatusCode)).toEqual(
      failure.recorded === undefined ? [] : [failure.recorded],
    )

    const entries = service.newEntries()
    expect(entries.map(({ kind }) => kind)).toEqual([
      'request.granted',
      'signature.begun',
      'signature.failed',
      'request.failed',
    ])
    const [granted, begun, failed, ended] = entries
    const { signature } = begun as Signed
    expect([granted, begun, ended]).toMatchObject([{ attempt }, { attempt }, { attempt }])
    const vaultRequestId = failure.answered ? records[0]?.correlationId : undefined
    expect(failed).toEqual({
      kind: 'signature.failed',
      atMs: expect.any(Number) as number,
      signature,
      code: failure.code,
      applied: failure.applied,
      ...(vaultRequestId === undefined ? {} : { vaultRequestId }),
    })
    expect(ended).toMatchObject({ kind: 'request.failed', code: failure.code })
    expect(logLineOf(attempt)).toMatchObject({ msg: 'failed', code: failure.code })
  })

  test('a key that was disabled: SIGNER_KEY_DISABLED, remembered, and asked again after a while', async () => {
    const certificate = json === ordersAsk ? 'partner-signing' : 'deploy-signing'
    const path = `/vaults/contoso-hsm/certificates/${certificate}`
    await service.emulator.control(`POST ${path}/disable`)
    service.newEntries()
    const answer = await ask()
    await service.emulator.control(`POST ${path}/enable`)

    expectProblem(answer, broken)
    expectNothingPrivate(answer, service, { token, values: [cast.fabrikam] })
    expect(service.newEntries().slice(2)).toMatchObject([
      { kind: 'signature.failed', code: 'SIGNER_KEY_DISABLED', applied: 'no' },
      { kind: 'request.failed', code: 'SIGNER_KEY_DISABLED' },
    ])
    const fromMemory = await ask()
    expectProblem(fromMemory, { ...paused, retryAfterSeconds: retryAfterOf(fromMemory) })
    expect(retryAfterOf(fromMemory)).toBeGreaterThan(25)
    expect(service.newEntries()).toMatchObject([
      {
        kind: 'request.failed',
        code: 'GOVERNOR_KEY_PAUSED',
        remembered: 'SIGNER_KEY_DISABLED',
        attempt: fromMemory.headers['countersign-attempt'],
      },
    ])
    emulator.clock.shift(retryAfterOf(fromMemory))
    expect((await ask()).status).toBe(200)
  })
})

const retryAfterOf = ({ headers }: Answer) => Number(headers['retry-after'])

const logLineOf = (attempt: unknown) =>
  service
    .log()
    .map((line) => JSON.parse(line) as { attempt?: unknown })
    .find((line) => line.attempt === attempt)

describe('an answer that names another version of the key', () => {
  test('is of no account: the signature verifies, and that is what counts', async () => {
    strike(service.emulator, { ...signing, kind: 'wrong-key-id' })
    const answer = await service.ask('POST /v1/assertion', { token, json: deployAsk })

    expect(answer.status).toBe(200)
  })
})

describe('after a failure', () => {
  test('that is the first of its kind, the next request signs anew', async () => {
    const json = { ...ordersAsk, tenant: cast.northwind }
    const workload = await service.callerToken('fabrikam-orders')
    strike(service.emulator, { ...signing, kind: 'drop-after' })
    expect((await service.ask('POST /v1/token', { token: workload, json })).status).toBe(503)

    expect((await service.ask('POST /v1/token', { token: workload, json })).status).toBe(200)
  })

  test('all who waited for one signature are told, each with an entry of its own', async () => {
    const workload = await service.callerToken('fabrikam-orders')
    const json = { ...ordersAsk, scope: cast.eventHubs }
    strike(service.emulator, { ...signing, kind: 'throttle' })
    service.newEntries()
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => service.ask('POST /v1/token', { token: workload, json })),
    )

    for (const answer of answers) expectProblem(answer, throttled)
    const entries = service.newEntries()
    expect(entries.filter(({ kind }) => kind === 'signature.begun')).toHaveLength(1)
    const attempts = answers.map(({ headers }) => headers['countersign-attempt'])
    const ended = entries.filter((entry) => entry.kind === 'request.failed')
    expect(ended.map(({ attempt }) => attempt).toSorted()).toEqual(attempts.toSorted())
  })

  test('readiness stays, and names the vault', async () => {
    strike(service.emulator, { ...signing, kind: 'server-error' })
    await service.ask('POST /v1/assertion', { token, json: deployAsk })
    const failing = await service.ask('GET /readyz')
    await service.ask('POST /v1/assertion', { token, json: deployAsk })
    const mended = await service.ask('GET /readyz')

    expect(failing).toMatchObject({ status: 200, body: { vault: { state: 'failing' } } })
    expect(mended).toMatchObject({ status: 200, body: { vault: { state: 'ok' } } })
  })
})
