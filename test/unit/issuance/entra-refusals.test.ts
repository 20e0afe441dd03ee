import { describe, expect, test } from 'vitest'
import { setTimeout as delay } from 'node:timers/promises'
import { parseClientId, parseScope, parseTenantId } from '../../../src/base/ids.ts'
import {
  createEntraRefusals,
  type ExchangeSubject,
  RememberedRefusal,
} from '../../../src/issuance/entra-refusals.ts'
import {
  TokenEndpointError,
  type TokenEndpointErrorCode,
} from '../../../src/token-endpoint/token-endpoint.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'

const subject: ExchangeSubject = {
  clientId: required(parseClientId('11111111-0000-4000-8000-000000000001')),
  keyId: 'https://vault.example/keys/partner-signing/1',
  tenant: required(parseTenantId('fab00000-0000-4000-8000-000000000002')),
  scope: required(parseScope('https://orders.example/.default')),
}
const otherScope = { ...subject, scope: required(parseScope('https://alerts.example/.default')) }
const otherTenant = {
  ...subject,
  tenant: required(parseTenantId('0a0a0a0a-0000-4000-8000-000000000003')),
}
const otherKey = { ...subject, keyId: `${subject.keyId}2` }
const otherApplication = {
  ...subject,
  clientId: required(parseClientId('22222222-0000-4000-8000-000000000002')),
}

const refusal = (code: TokenEndpointErrorCode, retryAfterSeconds?: number) =>
  new TokenEndpointError(code, 'no', { errorCodes: [1], traceId: 'a1b2', retryAfterSeconds })

function world() {
  const clock = fixedClock(1000)
  const refusals = createEntraRefusals({ nowMs: () => clock.nowMs(), random: () => 0 })
  let asked = 0
  /** Asks Entra, which answers with a token or with this error, unless the answer is remembered. */
  const ask = async (what: ExchangeSubject = subject, error?: Error) => {
    try {
      return await refusals.remembering(what, 1000, async () => {
        asked += 1
        await delay(1)
        if (error !== undefined) throw error
        return 'token' as const
      })
    } catch (failure) {
      if (failure instanceof RememberedRefusal) return failure
      if (failure === error) return 'refused' as const
      throw failure
    }
  }
  return {
    clock,
    refusals,
    ask,
    get asked() {
      return asked
    },
  }
}

const permanent: readonly (readonly [TokenEndpointErrorCode, reach: readonly string[]])[] = [
  ['ENTRA_CERTIFICATE_UNKNOWN', ['scope', 'tenant']],
  ['ENTRA_CERTIFICATE_INVALID', ['scope', 'tenant']],
  ['ENTRA_ASSERTION_EXPIRED', ['scope', 'tenant', 'key']],
  ['ENTRA_ASSERTION_REFUSED', ['scope', 'key']],
  ['ENTRA_APPLICATION_ABSENT', ['scope', 'key']],
  ['ENTRA_APPLICATION_DISABLED', ['scope', 'key']],
  ['ENTRA_TENANT_UNKNOWN', ['scope', 'key']],
  ['ENTRA_RESOURCE_ABSENT', ['key']],
  ['ENTRA_ROLE_MISSING', ['key']],
  ['ENTRA_SCOPE_REFUSED', ['key']],
  ['ENTRA_POLICY_BLOCKED', ['key']],
  ['ENTRA_REFUSED', ['key']],
]

describe('a refusal that somebody has to mend', () => {
  test.each(permanent)('%s is answered from memory, with all that Entra said', async (code) => {
    const here = world()
    await here.ask(subject, refusal(code))
    const answer = await here.ask()

    expect(answer).toMatchObject({
      code: 'ENTRA_REMEMBERED',
      applied: 'no',
      remembered: code,
      errorCodes: [1],
      traceId: 'a1b2',
      retryAfterSeconds: 30,
    })
    expect(here.asked).toBe(1)
  })

  test.each(permanent)('%s reaches as far as it says, and no farther', async (code, reach) => {
    const elsewhere = {
      scope: otherScope,
      tenant: otherTenant,
      key: otherKey,
      application: otherApplication,
    }
    const reached: string[] = []
    for (const [name, other] of Object.entries(elsewhere)) {
      const here = world()
      // All of them are in use, so that none is tried for the first time.
      await here.ask()
      await here.ask(other)
      await here.ask(subject, refusal(code))
      if ((await here.ask(other)) instanceof RememberedRefusal) reached.push(name)
    }

    expect(reached).toEqual(reach)
  })

  test('costs one exchange for each pause, and pauses double up to five minutes', async () => {
    const here = world()
    const asks: number[] = []
    for (let second = 0; second < 1000; second += 1) {
      const before = here.asked
      await here.ask(subject, refusal('ENTRA_ROLE_MISSING'))
      if (here.asked > before) asks.push(second)
      here.clock.advance(1)
    }

    expect(asks).toEqual([0, 30, 90, 210, 450, 750])
  })

  test('is forgotten when one that asked again was given a token', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_ROLE_MISSING'))
    here.clock.advance(30)

    expect([await here.ask(), await here.ask()]).toEqual(['token', 'token'])
    expect(here.refusals.size).toBe(0)
  })

  test('says how long it still holds', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_ROLE_MISSING'))
    here.clock.advance(20)

    expect(await here.ask()).toMatchObject({ retryAfterSeconds: 10 })
  })
})

describe('what time alone mends', () => {
  test('is asked again when Entra says, where it says more than a moment', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_THROTTLED', 17))

    expect(await here.ask()).toMatchObject({ retryAfterSeconds: 17 })
    here.clock.advance(17)
    expect(await here.ask()).toBe('token')
  })

  test('is asked again in five minutes at the latest, whatever Entra says', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_THROTTLED', 99_999))

    expect(await here.ask()).toMatchObject({ retryAfterSeconds: 300 })
  })

  test.each(['ENTRA_UNAVAILABLE', 'ENTRA_TIMEOUT', 'ENTRA_MALFORMED'] as const)(
    '%s is remembered after the third time in a row, for a second',
    async (code) => {
      const here = world()
      const answers = []
      for (let time = 0; time < 4; time += 1) answers.push(await here.ask(subject, refusal(code)))

      expect(answers.slice(0, 3)).toEqual(['refused', 'refused', 'refused'])
      expect(answers[3]).toMatchObject({ remembered: code, retryAfterSeconds: 1 })
    },
  )

  test('is counted in a row: a token in between begins anew', async () => {
    const here = world()
    const away = refusal('ENTRA_UNAVAILABLE')
    await here.ask(subject, away)
    await here.ask(subject, away)
    await here.ask()
    await here.ask(subject, away)

    expect(await here.ask(subject, away)).toBe('refused')
  })

  test('is counted of those who ask at one moment, too', async () => {
    const here = world()
    await here.ask()
    const away = refusal('ENTRA_UNAVAILABLE')
    await Promise.all(Array.from({ length: 5 }, () => here.ask(subject, away)))

    expect(await here.ask()).toBeInstanceOf(RememberedRefusal)
  })
})

describe('a certificate of which nothing is known', () => {
  const tenants = Array.from({ length: 200 }, (_, index) => ({
    ...subject,
    tenant: required(parseTenantId(`cc000000-0000-4000-8000-${String(index).padStart(12, '0')}`)),
  }))

  test('that is not registered costs one exchange, however many tenants wait', async () => {
    const here = world()
    const unknown = refusal('ENTRA_CERTIFICATE_UNKNOWN')
    const answers = await Promise.all(tenants.map((tenant) => here.ask(tenant, unknown)))

    expect(here.asked).toBe(1)
    expect(answers.filter((answer) => answer instanceof RememberedRefusal)).toHaveLength(199)
  })

  test('that is registered lets all of them go when the first has its token', async () => {
    const here = world()
    const answers = await Promise.all(tenants.map((tenant) => here.ask(tenant)))

    expect(new Set(answers)).toEqual(new Set(['token']))
  })

  test('is still unknown after an answer that says nothing of it', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_UNAVAILABLE'))
    const unknown = refusal('ENTRA_CERTIFICATE_UNKNOWN')
    await Promise.all([here.ask(subject, unknown), here.ask(otherTenant, unknown)])

    expect(here.asked).toBe(2)
  })

  test('is waited for by nobody when the vault kept the first one from trying it', async () => {
    const here = world()
    const vault = new Error('the vault')
    const answers = await Promise.all(tenants.map((tenant) => here.ask(tenant, vault)))

    expect(new Set(answers)).toEqual(new Set(['refused']))
    expect(here.asked).toBe(200)
  })

  test('that was refused before is tried by one alone all the same', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_CERTIFICATE_UNKNOWN'))
    here.clock.advance(30)
    const [first] = await Promise.all([
      here.ask(subject, new Error('the vault')),
      here.ask(otherTenant, refusal('ENTRA_CERTIFICATE_UNKNOWN')),
      here.ask(subject, refusal('ENTRA_CERTIFICATE_UNKNOWN')),
    ])

    expect(first).toBe('refused')
    expect(here.asked).toBe(3)
  })

  test('is known to be good when Entra refuses for what it looks at later', async () => {
    const here = world()
    await here.ask(subject, refusal('ENTRA_ROLE_MISSING'))
    const unknown = refusal('ENTRA_CERTIFICATE_UNKNOWN')
    await Promise.all([here.ask(otherScope, unknown), here.ask(otherTenant, unknown)])

    expect(here.asked).toBe(3)
  })

  test('keeps nobody waiting longer than it has patience', async () => {
    const { refusals } = world()
    const stuck = Promise.withResolvers<string>()
    const first = refusals.remembering(subject, 1000, () => stuck.promise)
    const second = refusals.remembering(otherTenant, 20, () => Promise.resolve('never'))

    await expect(second).rejects.toMatchObject({
      remembered: 'ENTRA_TIMEOUT',
      retryAfterSeconds: 1,
    })
    stuck.resolve('token')
    expect(await first).toBe('token')
  })
})

test('what is remembered has a bound, and the oldest goes first', async () => {
  const here = world()
  await here.ask()
  const scopes = Array.from({ length: 12_000 }, (_, index) => ({
    ...subject,
    scope: required(parseScope(`https://r${index}.example/.default`)),
  }))
  await Promise.all(scopes.map((scope) => here.ask(scope, refusal('ENTRA_ROLE_MISSING'))))

  expect(here.refusals.size).toBeLessThanOrEqual(10_000)
  expect(await here.ask(scopes.at(-1))).toBeInstanceOf(RememberedRefusal)
  expect(await here.ask(scopes[0])).toBe('token')
})
