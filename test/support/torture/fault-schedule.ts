import { faultSchema } from '../../../src/emulator/faults.ts'
import type { SeededRandom } from '../../../src/emulator/random.ts'
import { required } from '../required.ts'
import type { FaultOrder } from './cloud.ts'

/** A fault by place and kind: `vault drop-after`. */
export type FaultName = `${FaultOrder['at']} ${FaultOrder['kind']}`

export const faultName = ({ at, kind }: Pick<FaultOrder, 'at' | 'kind'>): FaultName =>
  `${at} ${kind}`

/** Lies that only an answer about a key can tell. */
const vaultOnly: readonly FaultOrder['kind'][] = ['wrong-signature', 'wrong-key-id']

/** Nothing else answers so. */
const identityOnly: readonly FaultOrder['kind'][] = ['not-found', 'gone']

const faultsAt = (at: FaultOrder['at']): readonly FaultName[] =>
  faultSchema.shape.kind.options
    .filter((kind) => at === 'vault' || !vaultOnly.includes(kind))
    .filter((kind) => at === 'managed-identity' || !identityOnly.includes(kind))
    .map((kind) => faultName({ at, kind }))

/** Where a request meets them on its way: each of them strikes within moments of being ordered. */
const faultsOnTheWay = (['vault', 'token-endpoint', 'jwks', 'issuer'] as const).map(faultsAt)

/** Beside the way: strikes when the service next needs a token for itself, which may be later. */
const identityFaults = faultsAt('managed-identity')

/** Where entries are sent to is on a way of its own, which has tests of its own. */
export const allFaults: readonly FaultName[] = faultSchema.shape.at.options
  .filter((at) => at !== 'monitor')
  .flatMap(faultsAt)

/** Two faults as one text, whichever comes first. */
const pairOf = (one: FaultName, other: FaultName) => [one, other].toSorted().join(' + ')

/** Every two faults of different places on the way. */
export const allPairs: ReadonlySet<string> = new Set(
  faultsOnTheWay.flatMap((here, index) =>
    faultsOnTheWay
      .slice(index + 1)
      .flatMap((there) => here.flatMap((one) => there.map((other) => pairOf(one, other)))),
  ),
)

/** The pairs of {@link allPairs} within these faults. */
export const pairsIn = (faults: readonly FaultName[]): readonly string[] =>
  faults
    .flatMap((one, index) => faults.slice(index + 1).map((other) => pairOf(one, other)))
    .filter((pair) => allPairs.has(pair))

export interface Round {
  /** One of each place on the way. */
  readonly onTheWay: readonly FaultName[]
  readonly identity: FaultName
}

/**
 * Rounds in which every two faults of different places on the way meet at least once: some seventy
 * instead of three thousand.
 */
export function pairwiseRounds(random: SeededRandom): readonly Round[] {
  const open = new Set(allPairs)
  const rounds: Round[] = []
  while (open.size > 0) {
    const onTheWay = nextOnTheWay(open, random)
    for (const pair of pairsIn(onTheWay)) open.delete(pair)
    rounds.push({ onTheWay, identity: drawn(identityFaults, random) })
  }
  return rounds
}

/** Begins with a pair that has not met, so that each round brings at least one. */
function nextOnTheWay(open: ReadonlySet<string>, random: SeededRandom): readonly FaultName[] {
  const first = drawn([...open], random).split(' + ') as FaultName[]
  const others = faultsOnTheWay.filter((faults) => !faults.some((fault) => first.includes(fault)))
  return others.reduce<readonly FaultName[]>((round, faults) => {
    const meets = (fault: FaultName) =>
      round.filter((other) => open.has(pairOf(fault, other))).length
    const most = Math.max(...faults.map(meets))
    return [
      ...round,
      drawn(
        faults.filter((fault) => meets(fault) === most),
        random,
      ),
    ]
  }, first)
}

const drawn = <T>(from: readonly T[], random: SeededRandom): T =>
  required(from[random.below(from.length)])

/** One fault of each place on the way, whatever they have met before. */
export const drawOnTheWay = (random: SeededRandom): readonly FaultName[] =>
  faultsOnTheWay.map((faults) => drawn(faults, random))

/** What the service meets while it starts for the `index`-th time: reads of the vault, and its own identity. */
export const startFaults = (index: number): readonly FaultName[] =>
  [faultsAt('vault'), identityFaults].map((faults) => required(faults[index % faults.length]))

/** More often would keep the others from striking: for so long is what fails left alone. */
function timesMax(fault: FaultName): number {
  const at = fault.split(' ')[0]
  // The service asks an issuer for its keys once, and then no sooner than in some seconds.
  if (at === 'jwks' || at === 'issuer' || fault === 'vault throttle') return 1
  return at === 'vault' ? 2 : 3
}

/** The fault as the emulator is told: how often, how late, how badly. */
export function orderFor(fault: FaultName, random: SeededRandom): FaultOrder {
  const [at, kind] = fault.split(' ') as [FaultOrder['at'], FaultOrder['kind']]
  const times = Math.min(timesMax(fault), 1 + random.below(3))
  const delayMs = kind === 'delay' ? 20 + random.below(400) : 0
  return { at, kind, times, delayMs, status: random.next() < 0.5 ? 500 : 503 }
}
