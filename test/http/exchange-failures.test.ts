import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { blockSchema } from '../../src/emulator/entra/blocks.ts'
import type { Fault } from '../../src/emulator/faults.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, strike } from '../support/faults.ts'
import { expectNothingPrivate, expectProblem, type ProblemWords } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  cast,
  eachExchangeSigns,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { worldClock } from '../support/world-clock.ts'

/** Everything that Entra can answer, or fail to. */

let emulator: TestEmulator
/** One for each test, because what Entra refuses is remembered for a while. */
let service: TestService
let token: string

beforeAll(async () => {
  emulator = await startServiceEmulator()
})
beforeEach(async () => {
  service = await startTestService({ emulator, configuration: eachExchangeSigns })
  token = await service.callerToken('fabrikam-orders')
})
afterEach(async () => {
  emulator.faults.clear()
  emulator.entra.blocks.clear()
  expect(JSON.stringify(service.entries())).not.toMatch(/eyJ[\w-]+\.eyJ/)
  expect(service.log().join('')).not.toMatch(/eyJ[\w-]+\.eyJ/)
  await service.stop()
})
afterAll(() => emulator.stop())

interface Failure {
  readonly name: string
  /** Brings it about, for one ask for {@link ordersAsk}. */
  readonly arrange: () => void
  readonly json?: object
  readonly code: string
  readonly applied: 'no' | 'unknown'
  readonly meaning: string
  readonly whoMustAct: 'operator' | 'tenant-administrator' | 'nobody'
  readonly errorCodes: readonly number[]
  /** Absent where it is not worth waiting. */
  readonly retryAfterSeconds?: number
  /** `lost`: no answer came that could have named the request. */
  readonly traceId: 'told' | 'lost'
}

const struck = (kind: Fault['kind']) => {
  return () => {
    strike(service.emulator, { ...exchanging, kind })
  }
}

const blocked = (reason: string) => () => {
  const block = blockSchema.parse({ tenant: 'fabrikam', client: 'events', reason })
  service.emulator.entra.blocks.put(block)
}

const asItIs = () => undefined

const unavailable = {
  code: 'ENTRA_UNAVAILABLE',
  applied: 'unknown',
  meaning: 'Entra did not answer, or not as it should.',
  whoMustAct: 'nobody',
  retryAfterSeconds: 10,
} as const

const absent = 'tenant-administrator'

const failures: readonly Failure[] = [
  {
    name: 'throttled',
    arrange: struck('throttle'),
    code: 'ENTRA_THROTTLED',
    applied: 'no',
    meaning: 'Entra asks to be asked less often.',
    whoMustAct: 'nobody',
    errorCodes: [],
    retryAfterSeconds: 1,
    traceId: 'told',
  },
  {
    ...unavailable,
    name: 'down',
    arrange: struck('server-error'),
    errorCodes: [90033],
    traceId: 'told',
  },
  {
    ...unavailable,
    name: 'mintedThenDown',
    arrange: struck('server-error-after'),
    errorCodes: [90033],
    traceId: 'told',
  },
  {
    ...unavailable,
    name: 'requestLost',
    arrange: struck('drop-before'),
    errorCodes: [],
    traceId: 'lost',
  },
  {
    ...unavailable,
    name: 'mintedThenReplyLost',
    arrange: struck('drop-after'),
    errorCodes: [],
    traceId: 'lost',
  },
  {
    name: 'answeredHalf',
    arrange: struck('malformed'),
    code: 'ENTRA_MALFORMED',
    applied: 'unknown',
    meaning: "What answered is not Entra's token endpoint.",
    whoMustAct: 'operator',
    errorCodes: [],
    traceId: 'told',
  },
  {
    name: 'the tenant does not exist',
    arrange: asItIs,
    json: { ...ordersAsk, tenant: cast.nowhere },
    code: 'ENTRA_TENANT_UNKNOWN',
    applied: 'no',
    meaning: 'Entra does not know the tenant.',
    whoMustAct: 'operator',
    errorCodes: [90002],
    traceId: 'told',
  },
  {
    name: 'the application is not in the tenant',
    arrange: asItIs,
    json: { application: 'deploy', tenant: cast.northwind, scope: cast.eventHubs },
    code: 'ENTRA_APPLICATION_ABSENT',
    applied: 'no',
    meaning: 'The application is not present in the tenant: an administrator there must consent.',
    whoMustAct: absent,
    errorCodes: [700016],
    traceId: 'told',
  },
  {
    name: 'the resource is not in the tenant',
    arrange: asItIs,
    json: { ...ordersAsk, scope: cast.absentResource },
    code: 'ENTRA_RESOURCE_ABSENT',
    applied: 'no',
    meaning: 'The resource of the scope is not present in the tenant.',
    whoMustAct: absent,
    errorCodes: [500011],
    traceId: 'told',
  },
  {
    name: 'the application is disabled',
    arrange: blocked('application-disabled'),
    code: 'ENTRA_APPLICATION_DISABLED',
    applied: 'no',
    meaning: 'The application is disabled or was deleted.',
    whoMustAct: 'operator',
    errorCodes: [7000112],
    traceId: 'told',
  },
  {
    name: 'a policy of the tenant blocks it',
    arrange: blocked('conditional-access'),
    code: 'ENTRA_POLICY_BLOCKED',
    applied: 'no',
    meaning: 'A Conditional Access policy of the tenant blocks the application.',
    whoMustAct: absent,
    errorCodes: [53003],
    traceId: 'told',
  },
  {
    name: 'the resource requires a role',
    arrange: blocked('assignment-required'),
    code: 'ENTRA_ROLE_MISSING',
    applied: 'no',
    meaning: 'The application has no role that the resource requires.',
    whoMustAct: absent,
    errorCodes: [501051],
    traceId: 'told',
  },
  {
    name: 'asked too often for the same',
    arrange: blocked('request-loop'),
    code: 'ENTRA_THROTTLED',
    applied: 'no',
    meaning: 'Entra asks to be asked less often.',
    whoMustAct: 'nobody',
    errorCodes: [50196],
    retryAfterSeconds: 10,
    traceId: 'told',
  },
  {
    name: 'the tenant is throttled',
    arrange: blocked('tenant-throttled'),
    code: 'ENTRA_THROTTLED',
    applied: 'no',
    meaning: 'Entra asks to be asked less often.',
    whoMustAct: 'nobody',
    errorCodes: [90055],
    retryAfterSeconds: 10,
    traceId: 'told',
  },
]

function wordsOf(failure: Failure): ProblemWords {
  const { meaning, errorCodes, whoMustAct, traceId, retryAfterSeconds } = failure
  const entra = { errorCodes, whoMustAct, ...(traceId === 'told' ? { traceId } : {}) }
  return retryAfterSeconds === undefined
    ? { status: 502, code: 'entra_refused', title: 'Entra refused', detail: meaning, entra }
    : {
        status: 503,
        code: 'entra_unavailable',
        title: 'Entra gave no token',
        detail: meaning,
        retryAfterSeconds,
        entra,
      }
}

/** Asserts the answer, and what ledger, log and Entra have of the attempt. */
function expectFailure(answer: Answer, failure: Failure, where: TestService): void {
  expectProblem(answer, wordsOf(failure))
  expectNothingPrivate(answer, where, { token, values: [cast.fabrikam, cast.orders] })
  const attempt = answer.headers['countersign-attempt']
  const exchange = required(where.exchanges().at(-1))

  const entries = where.newEntries()
  expect(entries.map(({ kind }) => kind)).toEqual([
    'request.granted',
    'signature.begun',
    'signature.made',
    'exchange.failed',
    'request.failed',
  ])
  const [granted, begun, made, failed, ended] = entries
  const { signature } = begun as { signature: string }
  expect([granted, begun, failed, ended]).toMatchObject(Array(4).fill({ attempt }))
  expect([made, failed]).toMatchObject(Array(2).fill({ signature }))
  const { code, applied, errorCodes } = failure
  expect(failed).toMatchObject({
    exchange: exchange.clientRequestId,
    code,
    applied,
    ...(errorCodes.length === 0 ? {} : { errorCodes }),
  })
  const traceId = failed !== undefined && 'traceId' in failed ? failed.traceId : undefined
  expect(traceId).toBe(failure.traceId === 'told' ? exchange.traceId : undefined)
  expect(ended).toMatchObject({ code })
  const lines = where.log().map((line) => JSON.parse(line) as { attempt?: unknown })
  expect(lines.find((line) => line.attempt === attempt)).toMatchObject({ msg: 'failed', code })
}

describe('POST /v1/token', () => {
  test.each(failures)('$name: $code', async (failure) => {
    failure.arrange()
    service.newEntries()
    const json = failure.json ?? ordersAsk
    const answer = await service.ask('POST /v1/token', { token, json })

    expectFailure(answer, failure, service)
  })

  test('the certificate is not registered: ENTRA_CERTIFICATE_UNKNOWN, until it is', async () => {
    const { entra, vaults } = service.emulator
    const current = required(required(vaults[0]).store.find('partner-signing')?.versions.at(-1))
    const [registered] = entra.certificates.registered('events')
    entra.certificates.unregister('events', required(registered).x5tS256)
    service.newEntries()
    const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })
    entra.certificates.register('events', current.der)

    expectFailure(
      answer,
      {
        name: 'unregistered',
        arrange: asItIs,
        code: 'ENTRA_CERTIFICATE_UNKNOWN',
        applied: 'no',
        meaning: 'Entra does not accept the certificate of the application, or not yet.',
        whoMustAct: 'operator',
        errorCodes: [700027],
        traceId: 'told',
      },
      service,
    )
    emulator.clock.shift(40)
    expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
  })

  test("the service's clock is off: ENTRA_ASSERTION_EXPIRED", async () => {
    const clock = worldClock(service.emulator.clock, 700)
    const ahead = await startTestService({ emulator: service.emulator, clock })
    try {
      const answer = await ahead.ask('POST /v1/token', { token, json: ordersAsk })
      expectFailure(
        answer,
        {
          name: 'ahead',
          arrange: asItIs,
          code: 'ENTRA_ASSERTION_EXPIRED',
          applied: 'no',
          meaning: "The clock of the service and Entra's disagree.",
          whoMustAct: 'operator',
          errorCodes: [700024],
          traceId: 'told',
        },
        ahead,
      )
    } finally {
      await ahead.stop()
    }
  })
})

describe('while Entra is away', () => {
  const down = () => {
    strike(service.emulator, { ...exchanging, kind: 'server-error', times: 100 })
  }

  test('a token that still lives is served', async () => {
    expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
    down()

    expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
  })

  test('an assertion is given: Entra has no part in it', async () => {
    down()
    const job = await service.callerToken('github')
    const json = { application: 'deploy', tenant: cast.fabrikam }

    expect((await service.ask('POST /v1/assertion', { token: job, json })).status).toBe(200)
  })

  test('readiness stays, and names Entra', async () => {
    down()
    const json = { ...ordersAsk, tenant: cast.northwind }
    expect((await service.ask('POST /v1/token', { token, json })).status).toBe(503)
    const failing = await service.ask('GET /readyz')
    service.emulator.faults.clear()
    expect((await service.ask('POST /v1/token', { token, json })).status).toBe(200)
    const mended = await service.ask('GET /readyz')

    expect(failing).toMatchObject({ status: 200, body: { entra: { state: 'failing' } } })
    expect(mended).toMatchObject({ status: 200, body: { entra: { state: 'ok' } } })
  })
})
