import { setTimeout as delay } from 'node:timers/promises'
import { createSeededRandom, type SeededRandom } from '../../../src/emulator/random.ts'
import { required } from '../required.ts'
import { startLoad } from './clients.ts'
import type { FaultOrder } from './cloud.ts'
import {
  allFaults,
  allPairs,
  type FaultName,
  faultName,
  orderFor,
  pairsIn,
  pairwiseRounds,
  type Round,
  startFaults,
} from './fault-schedule.ts'
import { nonceIn } from './judge-signatures.ts'
import { describeTally, openScene, type Scene, type Tally, Violated } from './scene.ts'
import type { Service } from './service.ts'

export interface FaultOptions {
  /** Decides which faults meet, how often they strike and what is asked. */
  readonly seed: number
  /** Unless said, as many as bring together every two faults on a request's way. */
  readonly rounds?: number
  readonly say?: (line: string) => void
}

export interface FaultTally extends Tally {
  readonly rounds: number
  /** Faults that struck at least once. */
  readonly struck: ReadonlySet<FaultName>
  /** Pairs that struck in one round. */
  readonly pairsMet: number
  /** Starts that ended because an answer was wrong, and not merely missing. */
  readonly startsRefused: number
}

/** Rounds that one process of the service lives through: each at a place that is new to it. */
const roundsPerLife = 7

/**
 * So short that the service asks its managed identity again and again. Odd seeds: it can wait for a
 * better answer; even ones: it cannot, and signs nothing meanwhile.
 */
const vaultTokenSecondsFor = (seed: number) => (seed % 2 === 1 ? 60 : 4)

/**
 * Lets everything go wrong, one fault of each place at a time, under load. Nobody is killed, so every
 * client must get an answer, and every failure must be one that the contract knows. In the end somebody
 * else signs with the key, and that alone must be unexplained.
 *
 * @throws Violated
 */
export async function surviveFaults(options: FaultOptions): Promise<FaultTally> {
  const { seed, say = () => undefined } = options
  const random = createSeededRandom(seed)
  const planned = pairwiseRounds(random)
  const rounds = repeated(planned, options.rounds ?? planned.length)
  await using scene = await openScene({
    seed,
    places: 1 + roundsPerLife,
    vaultTokenSeconds: vaultTokenSecondsFor(seed),
  })
  const met = new Set<string>()
  const struck = new Set<FaultName>()
  let startsRefused = 0
  let played = 0
  for (const [index, life] of chunked(rounds, roundsPerLife).entries()) {
    const outcome = await liveThrough(scene, startFaults(index), life, random)
    for (const faults of outcome.struck) {
      for (const fault of faults) struck.add(fault)
      for (const pair of pairsIn(faults)) met.add(pair)
    }
    startsRefused += outcome.startsRefused
    played += life.length
    const { tally } = await scene.judge('stopped')
    say(
      `round ${played}, struck by ${struck.size} of ${allFaults.length} faults and ` +
        `${met.size} of ${allPairs.size} pairs: ${describeTally(tally)}`,
    )
  }
  const tally = await signBehindItsBack(scene)
  return { ...tally, rounds: played, struck, pairsMet: met.size, startsRefused }
}

const repeated = <T>(items: readonly T[], count: number): readonly T[] =>
  Array.from({ length: count }, (_, index) => required(items[index % items.length]))

const chunked = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )

interface LifeOutcome {
  /** While it started, and then by round. */
  readonly struck: readonly (readonly FaultName[])[]
  readonly startsRefused: number
}

/** Long enough that the service has the keys of the first place before anything goes wrong. */
const calmMs = 100

/** One process of the service: struck while it starts, left alone for a moment, then struck by rounds. */
async function liveThrough(
  scene: Scene,
  atStart: readonly FaultName[],
  rounds: readonly Round[],
  random: SeededRandom,
): Promise<LifeOutcome> {
  const { service, struck: struckAtStart, refused } = await startUnder(scene, atStart, random)
  const clientsAt = (index: number) =>
    scene.clients.filter(({ caller }) => caller.place === scene.places[index])
  let clients = clientsAt(0)
  await using load = startLoad(
    () => service.origin,
    () => clients,
    random,
  )
  await delay(calmMs)
  const struck: (readonly FaultName[])[] = [struckAtStart]
  for (const [index, { onTheWay, identity }] of rounds.entries()) {
    const armed = await arm(
      scene,
      [...onTheWay, identity].map((fault) => orderFor(fault, random)),
    )
    clients = [...clientsAt(0), ...clientsAt(index + 1)]
    await untilStruck(scene, armed, onTheWay)
    struck.push(await disarm(scene, armed))
  }
  const heard = await load.stop()
  scene.heard.push(...heard)
  const { code } = await service.program.end('SIGTERM')
  const lost = heard.filter(({ outcome }) => outcome.kind === 'lost').length
  if (code === 0 && lost === 0) return { struck, startsRefused: refused }
  throw new Violated([
    `${lost} clients got no answer, and the service ended with ${String(code)}`,
    service.program.lastLines(),
  ])
}

interface Start {
  readonly service: Service
  readonly struck: readonly FaultName[]
  readonly refused: 0 | 1
}

/** A wrong answer ends the start, as it should; the next one meets no faults. */
async function startUnder(
  scene: Scene,
  faults: readonly FaultName[],
  random: SeededRandom,
): Promise<Start> {
  const orders = faults.map((fault) => ({ ...orderFor(fault, random), times: 1 }))
  const armed = await arm(scene, orders)
  const service = scene.startService()
  const isReady = await service.ready
  const struck = await disarm(scene, armed)
  if (isReady) return { service, struck, refused: 0 }
  const { code } = await service.program.ended
  const again = scene.startService()
  if (code === 1 && (await again.ready)) return { service: again, struck, refused: 1 }
  throw new Violated([
    `struck by ${faults.join(' and ')}, the start ended with ${String(code)}`,
    service.program.lastLines(),
  ])
}

/** Faults that have been ordered, and how often each may strike. */
type Armed = readonly FaultOrder[]

async function arm(scene: Scene, orders: Armed): Promise<Armed> {
  for (const order of orders) await scene.cloud.arm(order)
  return orders
}

async function struckOf(scene: Scene, armed: Armed): Promise<readonly FaultName[]> {
  const left = new Map((await scene.cloud.armed()).map((fault) => [faultName(fault), fault.times]))
  return armed.filter((order) => left.get(faultName(order)) !== order.times).map(faultName)
}

/** @returns Those that have struck. */
async function disarm(scene: Scene, armed: Armed): Promise<readonly FaultName[]> {
  const struck = await struckOf(scene, armed)
  await scene.cloud.disarm()
  return struck
}

/**
 * A fault may also be kept from striking: nobody asks Entra for anything while the vault is away. Longer
 * than the first pause after a failure.
 */
const roundMsMax = 2000
const pollMs = 40

async function untilStruck(scene: Scene, armed: Armed, awaited: readonly FaultName[]) {
  const endsAtMs = performance.now() + roundMsMax
  const all = async () => {
    const struck = await struckOf(scene, armed)
    return awaited.every((fault) => struck.includes(fault))
  }
  do await delay(pollMs)
  while (performance.now() < endsAtMs && !(await all()))
}

/**
 * Somebody else signs, once under a name of its own and once with a nonce out of the vault's log: each
 * is one more finding, and nothing excuses it.
 */
async function signBehindItsBack(scene: Scene): Promise<Tally> {
  const before = await scene.judge('stopped')
  const nonces = (await scene.cloud.vaultRecords()).flatMap((record) => nonceIn(record) ?? [])
  const userAgents = [
    'nightly-build/2.1',
    `countersign/1.0.0 (signature-nonce ${required(nonces.at(-1))})`,
  ]
  for (const userAgent of userAgents) await scene.cloud.signBehind(userAgent)
  const after = await scene.judge('stopped')
  const added = [...after.findings].filter(([record]) => !before.findings.has(record))
  const unexplained = added.filter(([, kind]) => kind === 'sign.unexplained')
  if (added.length === userAgents.length && unexplained.length === added.length) return after.tally
  throw new Violated([`two signatures of somebody else became ${JSON.stringify(added)}`])
}
