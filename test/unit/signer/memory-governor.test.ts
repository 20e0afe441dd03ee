import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { SigningKey } from '../../../src/base/signing-key.ts'
import {
  type CircuitChange,
  GovernorError,
  type PermitOutcome,
  type PermitRequest,
} from '../../../src/signer/governor.ts'
import {
  createMemoryGovernor,
  localVaultBudget,
  type MemoryGovernorOptions,
} from '../../../src/signer/memory-governor.ts'
import { createWindowBudget, type SignBudget } from '../../../src/signer/sign-budget.ts'
import { SignerError } from '../../../src/signer/signer.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const keyIn = (vault: string, heldBy: SigningKey['heldBy'] = 'hsm'): SigningKey => ({
  keyId: `https://${vault}.vault.azure.net/keys/partner-signing/0a1b`,
  publicKey,
  heldBy,
  notBeforeSeconds: undefined,
  notAfterSeconds: undefined,
})

const key = keyIn('contoso')

const asking = (more: Partial<PermitRequest> = {}): PermitRequest => ({
  key,
  application: 'events',
  caller: 'cluster orders',
  purpose: 'exchange',
  priority: 'caller',
  patienceMs: 5_000,
  whilePaused: 'wait',
  ...more,
})

function governorOf(unitsMax: number, options: Partial<MemoryGovernorOptions> = {}) {
  const clock = fixedClock(1000)
  return createMemoryGovernor({
    nowMs: () => clock.nowMs(),
    random: () => 0,
    onCircuit: () => undefined,
    budgetOf: () => ({
      whole: createWindowBudget(unitsMax),
      handOuts: createWindowBudget(unitsMax),
    }),
    ...options,
  })
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Stands for a budget that several processes share: its units arrive by themselves, a little later. */
function lendingBudget(arriveAfterMs: number): SignBudget {
  let units = 0
  let fetching = false
  return {
    unitsMax: 100,
    isAway: false,
    take: (wanted) => {
      if (units >= wanted) {
        units -= wanted
        return { granted: true }
      }
      if (!fetching) {
        fetching = true
        setTimeout(() => (units += 2), arriveAfterMs)
      }
      return { granted: false, waitMs: arriveAfterMs + 5 }
    },
    waitMs: (wanted) => (units >= wanted ? 0 : arriveAfterMs),
    asked: () => undefined,
    giveBack: (given) => {
      units += given
    },
    charge: () => undefined,
    used: () => 0,
  }
}

const lending = () =>
  governorOf(0, {
    nowMs: () => systemClock.nowMs(),
    budgetOf: () => ({ whole: lendingBudget(20), handOuts: createWindowBudget(100) }),
  })

describe('a permit', () => {
  test('is there at once while there is budget, and refused with a time when there is none', async () => {
    const governor = governorOf(1)
    await governor.permit(asking())
    const failure = await failureOf(governor.permit(asking()))

    expect(failure).toBeInstanceOf(GovernorError)
    expect(failure).toMatchObject({
      code: 'GOVERNOR_BUDGET_SPENT',
      applied: 'no',
      retryAfterSeconds: 11,
    })
  })

  test('is there at once for whoever has no patience at all, however slowly time is told', async () => {
    let nowMs = 0
    const governor = governorOf(1, { nowMs: () => (nowMs += 5) })

    await expect(governor.permit(asking({ patienceMs: 0 }))).resolves.toBeDefined()
    expect(await failureOf(governor.permit(asking({ patienceMs: 0 })))).toMatchObject({
      code: 'GOVERNOR_BUDGET_SPENT',
    })
  })

  test('is waited for until a lent unit is here', async () => {
    const governor = lending()
    const permits = await Promise.all([governor.permit(asking()), governor.permit(asking())])

    expect(permits).toHaveLength(2)
    expect(governor.standing(key).waiting).toBe(0)
  })

  test('is refused when patience ends first', async () => {
    const governor = lending()
    await Promise.all([governor.permit(asking()), governor.permit(asking())])

    expect(await failureOf(governor.permit(asking({ patienceMs: 60 })))).toMatchObject({
      code: 'GOVERNOR_BUDGET_SPENT',
    })
  })

  test('may be given up: whoever has gone is told so, and holds up nobody', async () => {
    const governor = lending()
    const controller = new AbortController()
    const gone = failureOf(governor.permit(asking({ signal: controller.signal })))
    const others = [governor.permit(asking()), governor.permit(asking())]
    controller.abort()

    expect(await gone).toMatchObject({ code: 'GOVERNOR_ABANDONED', applied: 'no' })
    expect(await Promise.all(others)).toHaveLength(2)
  })

  test('is not begun for whoever has gone already', async () => {
    const governor = governorOf(1)

    expect(await failureOf(governor.permit(asking({ signal: AbortSignal.abort() })))).toMatchObject(
      { code: 'GOVERNOR_ABANDONED' },
    )
    expect(governor.standing(key)).toMatchObject({ unitsUsed: 0, waiting: 0 })
  })

  test('that was not used gives its units back; any other outcome does not', async () => {
    const governor = governorOf(2)
    const permit = await governor.permit(asking())
    permit.settle('not-asked')
    expect(governor.standing(key).unitsUsed).toBe(0)

    const [signed, failed] = [await governor.permit(asking()), await governor.permit(asking())]
    signed.settle('signed')
    failed.settle(new SignerError('SIGNER_TIMEOUT', 'unknown'))
    expect(governor.standing(key).unitsUsed).toBe(2)
  })

  test.each(['SIGNER_TOO_LATE', 'SIGNER_KEY_OUTSIDE_VALIDITY', 'SIGNER_CREDENTIAL'] as const)(
    'that ended in %s before the vault was asked gives its units back',
    async (code) => {
      const governor = governorOf(2)
      const [here, there] = [await governor.permit(asking()), await governor.permit(asking())]
      here.settle(new SignerError(code, 'no', { asked: false }))
      expect(governor.standing(key).unitsUsed).toBe(1)
      there.settle(new SignerError(code, 'no'))
      expect(governor.standing(key).unitsUsed).toBe(1)
    },
  )

  test('that ended in this process being late says nothing of vault or key', async () => {
    const governor = governorOf(100)
    for (let times = 0; times < 5; times += 1) {
      const permit = await governor.permit(asking())
      permit.settle(new SignerError('SIGNER_TOO_LATE', 'no', { asked: false }))
    }
    expect(governor.standing(key).circuit).toBe('closed')
  })

  test('is settled once', async () => {
    const permit = await governorOf(1).permit(asking())
    permit.settle('signed')

    expect(() => {
      permit.settle('signed')
    }).toThrow(TypeError)
  })
})

describe('a budget that others take from', () => {
  /** Has nothing; whoever comes is to wait as long as the test says. */
  function sharedBudget() {
    const said = { waitMs: 1_000, isAway: false, whenChanged: (): void => undefined }
    const budget: SignBudget = {
      unitsMax: 100,
      get isAway() {
        return said.isAway
      },
      take: () => ({ granted: false, waitMs: 60_000 }),
      waitMs: () => said.waitMs,
      asked: () => undefined,
      giveBack: () => undefined,
      charge: () => undefined,
      used: () => 0,
    }
    const governor = governorOf(0, {
      nowMs: () => Math.floor(systemClock.monotonicMs()),
      budgetOf: (_vaultUrl, _heldBy, whenChanged) => {
        said.whenChanged = whenChanged
        return { whole: budget, handOuts: createWindowBudget(100) }
      },
    })
    return { governor, said }
  }

  test('ends the waiting of whoever will not be served in time any more, and of nobody else', async () => {
    const { governor, said } = sharedBudget()
    const patient = failureOf(governor.permit(asking({ caller: 'patient', patienceMs: 30_000 })))
    const other = failureOf(governor.permit(asking({ caller: 'other', patienceMs: 5_000 })))
    said.waitMs = 10_000
    said.whenChanged()

    expect(governor.standing(key).waiting).toBe(1)
    expect(await other).toMatchObject({ code: 'GOVERNOR_BUDGET_SPENT', retryAfterSeconds: 10 })
    said.waitMs = 40_000
    said.whenChanged()
    expect(governor.standing(key).waiting).toBe(0)
    expect(await patient).toMatchObject({ code: 'GOVERNOR_BUDGET_SPENT', retryAfterSeconds: 40 })
  })

  test('is not believed to the second: whoever is nearly in time goes on waiting', async () => {
    const { governor, said } = sharedBudget()
    const controller = new AbortController()
    const gone = failureOf(governor.permit(asking({ signal: controller.signal })))
    said.waitMs = 5_900
    said.whenChanged()

    expect(governor.standing(key).waiting).toBe(1)
    controller.abort()
    await gone
  })

  test('has a code of its own while nobody says how much there is', async () => {
    const { governor, said } = sharedBudget()
    said.isAway = true

    expect(await failureOf(governor.permit(asking({ patienceMs: 1_010 })))).toMatchObject({
      code: 'GOVERNOR_BUDGET_AWAY',
      retryAfterSeconds: 1,
    })
  })

  test('says for how long a permit is counted on: both of its shares, and for ever where it is alone', async () => {
    const leased = (leftMs: number): SignBudget => ({
      ...createWindowBudget(100),
      take: () => ({ granted: true, leftMs: () => leftMs }),
    })
    const governor = governorOf(0, {
      budgetOf: () => ({ whole: leased(9_000), handOuts: leased(4_000) }),
    })
    const permits = [
      await governor.permit(asking()),
      await governor.permit(asking({ purpose: 'hand-out' })),
      await governorOf(1).permit(asking()),
    ]
    expect(permits.map((permit) => permit.leftMs())).toEqual([9_000, 4_000, Infinity])
  })

  test('has back the share of a hand-out that it has no units for', async () => {
    const handOuts = createWindowBudget(100)
    const governor = governorOf(0, {
      budgetOf: () => ({ whole: createWindowBudget(1), handOuts }),
    })
    await governor.permit(asking({ purpose: 'hand-out' }))
    const controller = new AbortController()
    const waiting = asking({
      purpose: 'hand-out',
      patienceMs: 20_000,
      signal: controller.signal,
    })
    const gone = failureOf(governor.permit(waiting))
    expect(handOuts.used(1_000_000)).toBe(1)
    controller.abort()
    await gone
  })
})

describe('circuits', () => {
  test('are told of as they open and close, once for each change', async () => {
    const clock = fixedClock(1000)
    const changes: CircuitChange[] = []
    const governor = governorOf(100, {
      nowMs: () => clock.nowMs(),
      onCircuit: (change) => changes.push(change),
    })
    const settle = async (outcome: PermitOutcome) => {
      const permit = await governor.permit(asking())
      permit.settle(outcome)
      return permit.probes
    }
    await settle('signed')
    await settle(new SignerError('SIGNER_THROTTLED', 'no'))
    expect(governor.standing(key).circuit).toBe('open')
    clock.advance(1)
    expect(await settle('not-asked')).toBe(true)
    expect(await settle(new SignerError('SIGNER_FORBIDDEN', 'no'))).toBe(true)
    expect(await failureOf(settle('signed'))).toMatchObject({
      code: 'GOVERNOR_KEY_PAUSED',
      remembered: 'SIGNER_FORBIDDEN',
      retryAfterSeconds: 30,
    })
    clock.advance(30)
    expect(await settle('signed')).toBe(true)

    const { keyId } = key
    expect(changes).toEqual([
      { of: 'vault', keyId, to: 'open', code: 'SIGNER_THROTTLED', forMs: 1000 },
      // It has refused the key, so it is there.
      { of: 'vault', keyId, to: 'closed' },
      { of: 'key', keyId, to: 'open', code: 'SIGNER_FORBIDDEN', forMs: 30_000 },
      { of: 'key', keyId, to: 'closed' },
    ])
    expect(governor.standing(key).circuit).toBe('closed')
  })
})

test.each([
  ['here', { asked: false }, []],
  ['by the vault', {}, [{ of: 'vault', to: 'closed' }]],
] as const)(
  'a key that is refused %s pauses, and a vault that was left alone is well again only if it was asked',
  async (_, facts, ofVault) => {
    const clock = fixedClock(1000)
    const changes: CircuitChange[] = []
    const governor = governorOf(100, {
      nowMs: () => clock.nowMs(),
      onCircuit: (change) => changes.push(change),
    })
    const settle = async (outcome: PermitOutcome, asked: SigningKey = key) => {
      const permit = await governor.permit(asking({ key: asked }))
      permit.settle(outcome)
      return permit.probes
    }
    await settle(new SignerError('SIGNER_THROTTLED', 'no'))
    changes.length = 0
    clock.advance(1)
    await settle(new SignerError('SIGNER_KEY_OUTSIDE_VALIDITY', 'no', facts))
    expect(changes).toMatchObject([
      ...ofVault,
      { of: 'key', to: 'open', code: 'SIGNER_KEY_OUTSIDE_VALIDITY' },
    ])
    expect(await failureOf(settle('signed'))).toMatchObject({
      code: 'GOVERNOR_KEY_PAUSED',
      remembered: 'SIGNER_KEY_OUTSIDE_VALIDITY',
    })
    // Another key of the vault is to find out, unless that is known.
    expect(await settle('signed', { ...key, keyId: `${key.keyId}2` })).toBe(ofVault.length === 0)
  },
)

describe('budgets', () => {
  test('are one for each vault, and for HSM keys and software keys in it', async () => {
    const governor = governorOf(1)
    await governor.permit(asking())

    await expect(governor.permit(asking({ key: keyIn('fabrikam') }))).resolves.toBeDefined()
    await expect(
      governor.permit(asking({ key: keyIn('contoso', 'software') })),
    ).resolves.toBeDefined()
    const sameVault = { ...key, keyId: `${key.keyId}2` }
    await expect(governor.permit(asking({ key: sameVault }))).rejects.toThrow(GovernorError)
  })

  test('count reads of a key as its signatures', () => {
    const governor = governorOf(10)
    governor.charge(key, 3)

    expect(governor.standing(key)).toEqual({
      unitsUsed: 3,
      unitsMax: 10,
      unitsLearned: 10,
      waiting: 0,
      circuit: 'closed',
    })
  })

  test.each([
    ['hsm', 0.8, 1600, 400],
    ['software', 0.8, 3200, 800],
    ['hsm', 1, 2000, 500],
    // With room for one signature of a key of 4096 bits, whatever is left of it.
    ['hsm', 0.01, 20, 8],
  ] as const)('of %s keys at a headroom of %d allow %i, %i to give away', (...row) => {
    const [heldBy, headroom, whole, handOuts] = row
    const budget = localVaultBudget(heldBy, headroom)

    expect([budget.whole.unitsMax, budget.handOuts.unitsMax]).toEqual([whole, handOuts])
  })
})
