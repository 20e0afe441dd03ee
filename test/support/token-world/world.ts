import { vi } from 'vitest'
import { withDeadline } from '../../../src/base/deadline.ts'
import {
  type CachedToken,
  type HeldToken,
  TokenCacheError,
} from '../../../src/token-cache/token-cache.ts'
import { type TokenKey, tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { createFleet, refreshRules, ToldFailure } from '../fleet.ts'
import { grantName } from '../grants.ts'
import { required } from '../required.ts'
import { createAir } from './air.ts'
import {
  alterationOf,
  type AskHappens,
  type Happening,
  keyAt,
  keys,
  matcherOf,
  type RefreshHappens,
} from './happening.ts'
import { createJudge, madeFrom, textOf } from './judge.ts'
import { type AskedReplica, createReplicas } from './replicas.ts'
import { type Altered, statementMaxMs } from './wired-store.ts'

export interface TokenWorldOptions {
  readonly replicas: number
  /** Whether they share what they obtain. */
  readonly sharing: boolean
}

/**
 * Replicas that are asked for tokens, while all that they wait for is under way for as long as the test
 * likes. Needs the fake timers of vitest: time passes when it is told to.
 */
export interface TokenWorld {
  /** Resolves when nothing more comes of it by itself. */
  happen(happening: Happening): Promise<void>
  /** What is under way ends, everybody hears of everything, and everything is asked for once more. */
  end(): Promise<void>
  /** What must not have been, a sentence each. */
  readonly violations: readonly string[]
  /** How often each thing came about. */
  readonly counts: ReadonlyMap<string, number>
}

/** Whoever waits longer has left; and no exchange takes as long. */
const timeoutMs = 20_000
const exchangeMaxMs = 15_000

const minRemainingMs = refreshRules.minRemainingSeconds * 1000
/** What is shared is counted from when the store has it, which takes a statement. */
const sharedLeastMs = minRemainingMs - statementMaxMs

class NothingToSignWith extends Error {
  override readonly name = 'NothingToSignWith'
}

class Broken extends Error {
  override readonly name = 'Broken'
}

const isExpected = (error: unknown): error is Error =>
  [NothingToSignWith, Broken, ToldFailure, TokenCacheError].some((kind) => error instanceof kind) ||
  (error instanceof DOMException && error.name === 'TimeoutError')

const grantFor = ({ isolation }: TokenKey) => isolation ?? grantName('orders')

export function createTokenWorld({ replicas: count, sharing }: TokenWorldOptions): TokenWorld {
  const fleet = createFleet()
  const { clock } = fleet
  const air = createAir()
  const judge = createJudge(clock)
  const altered: Altered = new Map()
  const counts = new Map<string, number>()
  const tally = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
  let serials = 0
  let waiting = 0
  let reportable = 0
  const onReportable = () => {
    reportable += 1
  }
  const shared = { fleet, air, judge, altered, onReportable }
  const replicas = createReplicas({ count, sharing }, shared)
  const replicaAt = (number: number) => required(replicas[number % count])

  /** The token's life begins with the request. */
  const exchange =
    (by: AskedReplica, key: TokenKey, keyId: string | undefined, lifetimeSeconds: number) =>
    async (): Promise<CachedToken> => {
      if (keyId === undefined) throw new NothingToSignWith()
      const made = {
        serial: (serials += 1),
        key,
        grant: grantFor(key),
        keyId,
        by: by.number,
        begunAt: judge.moment(),
        diesAtMs: clock.monotonicMs() + lifetimeSeconds * 1000,
      }
      const token = fleet.obtained(key, { text: textOf(made), lifetimeSeconds, keyId })
      await withDeadline(exchangeMaxMs, () => air.pass())
      return token
    }

  const failed = (error: unknown) => {
    if (isExpected(error)) tally(error.name)
    else judge.unexpected(String(error))
  }

  const waitingFor = async (act: () => Promise<void>) => {
    waiting += 1
    await act().catch(failed)
    waiting -= 1
  }

  /** As issuing does: what is at hand, or what comes. */
  const ask = async ({ replica: number, key: nth, ...how }: AskHappens) => {
    const { lifetimeSeconds, signs, agoSeconds } = how
    const [replica, key] = [replicaAt(number), keyAt(nth)]
    const obtainedAfterSeconds = clock.nowSeconds() - (agoSeconds ?? 0)
    const wish = {
      key,
      grant: grantFor(key),
      ...(agoSeconds === undefined ? {} : { obtainedAfterSeconds }),
    }
    const asked = { replica: replica.number, key, at: judge.moment() }
    const cached = replica.cache.get(wish)
    if (cached !== undefined) {
      tally('at hand')
      judge.given({ ...asked, leastMs: sharing ? sharedLeastMs : minRemainingMs }, cached)
      return
    }
    await waitingFor(async () => {
      const keyId = signs ? replica.keyIdOf(key.application) : undefined
      const fetch = exchange(replica, key, keyId, lifetimeSeconds)
      const token = await replica.cache.obtain(wish, keyId, fetch, { timeoutMs })
      const { by } = madeFrom(token.value.reveal())
      tally(by === replica.number ? 'obtained here' : 'obtained elsewhere')
      judge.given({ ...asked, leastMs: 1 }, token)
    })
  }

  const refresh = ({ replica: number, key: nth, lifetimeSeconds }: RefreshHappens) =>
    waitingFor(async () => {
      const [replica, key] = [replicaAt(number), keyAt(nth)]
      const keyId = replica.keyIdOf(key.application)
      const fetch = exchange(replica, key, keyId, lifetimeSeconds)
      await replica.cache.refresh({ key, grant: grantFor(key) }, keyId, fetch)
      tally('refreshed')
    })

  const drop = ({ number, cache }: AskedReplica, matches: (held: HeldToken) => boolean) => {
    if (air.count > 0) tally('dropped while something is under way')
    cache.drop(matches)
    judge.dropped(number, matches)
  }

  const look = ({ number, drops }: AskedReplica) =>
    waitingFor(async () => {
      const begunAt = judge.moment()
      await drops.look()
      judge.looked(number, begunAt)
      tally('looked')
    })

  const pass = (seconds: number) => {
    clock.advance(seconds)
    vi.advanceTimersByTime(seconds * 1000)
  }

  const begin = (happening: Happening): Promise<void> | void => {
    switch (happening.what) {
      case 'ask':
        return ask(happening)
      case 'refresh':
        return refresh(happening)
      case 'goes on':
        return
      case 'fails':
        air.fail(happening.which, happening.isTold ? new ToldFailure('ENTRA_AWAY') : new Broken())
        return
      case 'drop': {
        const [replica, key] = [replicaAt(happening.replica), keyAt(happening.key)]
        drop(replica, matcherOf(happening.by, key, replica.keyIdOf(key.application)))
        return
      }
      case 'next certificate': {
        const [replica, { application }] = [replicaAt(happening.replica), keyAt(happening.key)]
        const before = replica.keyIdOf(application)
        replica.turnOver(application)
        drop(replica, ({ keyId }) => keyId === before)
        return
      }
      case 'look':
        return sharing ? look(replicaAt(happening.replica)) : undefined
      case 'time passes':
        pass(happening.seconds)
        return
      case 'somebody sets the clock':
        clock.jump(happening.seconds)
        return
      case 'somebody alters a row':
        altered.set(tokenKeyText(keyAt(happening.key)), alterationOf(happening))
    }
  }

  const happen = async (happening: Happening) => {
    void begin(happening)
    await settled()
    for (const which of happening.what === 'goes on' ? happening.which : []) {
      air.letGo(which)
      await settled()
    }
  }

  const calm = async () => {
    while (air.count > 0 || waiting > 0) {
      if (air.count > 0) air.letGo(0)
      else pass(1)
      await settled()
    }
  }

  const calmAfter = async (happening: Happening) => {
    await happen(happening)
    await calm()
  }

  return {
    happen,
    end: async () => {
      await calm()
      for (const round of [replicas, replicas]) {
        for (const { number } of round) await calmAfter({ what: 'look', replica: number })
      }
      for (const { number } of replicas) {
        for (const key of keys.keys()) {
          const asked = { replica: number, key, lifetimeSeconds: 3600, signs: true }
          await calmAfter({ what: 'ask', ...asked })
        }
      }
      const reported = replicas.flatMap(({ refused }) => refused)
      for (const what of [...reported, ...replicas.flatMap(({ seen }) => seen)]) tally(what)
      if (reported.length !== reportable) {
        judge.unexpected(`${reported.length} of ${reportable} altered rows were reported`)
      }
    },
    violations: judge.violations,
    counts,
  }
}

/** Until nothing happens any more by itself. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate)
}
