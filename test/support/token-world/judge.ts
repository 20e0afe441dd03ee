import type { Clock } from '../../../src/base/clock.ts'
import type { CachedToken, HeldToken } from '../../../src/token-cache/token-cache.ts'
import type { TokenKey } from '../../../src/token-cache/token-key.ts'

/**
 * What a token says of itself: for what it was made, by which replica, when its exchange began, and when
 * it dies. Judged by this alone, whatever caches and stores take it for.
 */
export interface Made extends HeldToken {
  readonly serial: number
  readonly keyId: string
  readonly by: number
  /** By the order of all that happens. */
  readonly begunAt: number
  /** By the monotonic clock. */
  readonly diesAtMs: number
}

export const textOf = (made: Made): string => JSON.stringify(made)

export const madeFrom = (text: string): Made => JSON.parse(text) as Made

/** Who asked for what, and what it may count on. */
export interface Asked {
  readonly replica: number
  readonly key: TokenKey
  readonly at: number
  readonly leastMs: number
}

interface Drop {
  readonly by: number
  readonly at: number
  readonly matches: (held: HeldToken) => boolean
  /** When the store surely knew of it. */
  toldAt?: number
  /** From when each replica must not give what is dropped. */
  readonly holdsFrom: Map<number, number>
}

/** Knows all that happened, and says what must not have. */
export interface Judge {
  /** A moment of its own, later than all before. */
  moment(): number
  /** From now on this replica gives nothing that matches and was there. */
  dropped(by: number, matches: (held: HeldToken) => boolean): void
  /** A look of the replica that began at a moment has succeeded. */
  looked(replica: number, begunAt: number): void
  /** The store has it, in place of what it had for the key. */
  landed(made: Made): void
  /** The store has nothing for the key. */
  removed(key: TokenKey): void
  given(asked: Asked, token: CachedToken): void
  unexpected(what: string): void
  readonly violations: readonly string[]
}

export function createJudge(clock: Clock): Judge {
  const violations: string[] = []
  const drops: Drop[] = []
  /** By serial. */
  const landedAt = new Map<number, number>()
  const replacedAt = new Map<number, number>()
  /** What the store has, by key. */
  const stored = new Map<string, number>()
  let now = 0
  const moment = () => (now += 1)

  /** What the replica has obtained, or is about to; and what lies in the store then. */
  const isDroppedBy = ({ by, at, matches }: Drop, made: Made) =>
    matches(made) &&
    ((made.by === by && made.begunAt < at) || (landedAt.get(made.serial) ?? Infinity) < at)

  /** Others are told what is in the store when it can be asked. What was replaced until then they may have yet. */
  const holdsFor = (drop: Drop, replica: number, at: number, { serial }: Made) =>
    (drop.holdsFrom.get(replica) ?? Infinity) < at &&
    (replica === drop.by || (replacedAt.get(serial) ?? Infinity) > (drop.toldAt ?? 0))

  const faultsOf = ({ replica, key, at, leastMs }: Asked, made: Made) => [
    ...(JSON.stringify(made.key) === JSON.stringify(key) ? [] : ['is of another key']),
    ...(made.diesAtMs - clock.monotonicMs() >= leastMs ? [] : ['has too little left to live']),
    ...drops
      .filter((drop) => holdsFor(drop, replica, at, made) && isDroppedBy(drop, made))
      .map((drop) => `was dropped by replica ${drop.by} at ${drop.at}`),
  ]

  return {
    moment,
    dropped: (by, matches) => {
      const at = moment()
      drops.push({ by, at, matches, holdsFrom: new Map([[by, at]]) })
    },
    looked: (replica, begunAt) => {
      const at = moment()
      for (const drop of drops) {
        if (drop.by === replica && drop.at < begunAt) drop.toldAt ??= at
        else if (drop.toldAt !== undefined && drop.toldAt < begunAt) {
          if (!drop.holdsFrom.has(replica)) drop.holdsFrom.set(replica, at)
        }
      }
    },
    landed: ({ serial, key }) => {
      const at = moment()
      const before = stored.get(JSON.stringify(key))
      if (before !== undefined) replacedAt.set(before, at)
      stored.set(JSON.stringify(key), serial)
      landedAt.set(serial, at)
    },
    removed: (key) => {
      stored.delete(JSON.stringify(key))
    },
    given: (asked, { value }) => {
      const text = value.reveal()
      for (const fault of faultsOf(asked, madeFrom(text))) {
        violations.push(
          `replica ${asked.replica}, asked at ${asked.at}, gave what ${fault}: ${text}`,
        )
      }
    },
    unexpected: (what) => {
      violations.push(what)
    },
    violations,
  }
}
