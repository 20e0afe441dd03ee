import { setTimeout as delay } from 'node:timers/promises'
import { withDeadline } from '../../../src/base/deadline.ts'
import { createSeededRandom, type SeededRandom } from '../../../src/emulator/random.ts'
import { startPostgres, type TestPostgres } from '../postgres.ts'
import { required } from '../required.ts'
import { startLoad } from './clients.ts'
import type { Cloud } from './cloud.ts'
import { slowDown } from './kills.ts'
import { homeInDatabase } from './ledger-home.ts'
import { describeTally, openScene, type Scene, type Tally, Violated } from './scene.ts'
import type { Service } from './service.ts'
import { type Interruption, layWires, type Peer, type Wires } from './wires.ts'

export interface FleetKillOptions {
  /** Decides what is asked, what breaks and when; which instruction it meets, no seed decides. */
  readonly seed: number
  /** Events, each of which breaks one thing or several. */
  readonly kills: number
  /** How long they may take until each has issued something again; {@link recoveryMaxMs} unless said. */
  readonly recoveryWithinMs?: number
  readonly say?: (line: string) => void
}

export interface FleetTally extends Tally {
  /** How often each kind of thing broke. */
  readonly broken: Readonly<Record<Breakage['what'], number>>
  /** From when all was up until every replica had issued something again: the longest. */
  readonly slowestRecoveryMs: number
}

/** What is promised, on a machine that has little else to do. */
export const recoveryPromisedMs = 5000
/** What is asked of a machine that has a lot else to do. */
const recoveryMaxMs = 15_000

const replicaCount = 3
/** Few, because replicas, database and cloud share the machine with them. */
const clientsOfReplica = 2
/** Then they hang up: whoever waits for what a dead replica has led waits until its lease ends. */
const clientPatienceMs = 500

/**
 * Three replicas on one PostgreSQL, under load: again and again a replica is killed or stands still, or
 * all of them are killed, or the database, or what is between two of them is cut or stalls. Then it is mended, each replica has to
 * issue something again, and everything is judged while they go on.
 *
 * @throws Violated after the first event that something did not survive.
 */
export async function surviveFleetKills(options: FleetKillOptions): Promise<FleetTally> {
  const { seed, kills, recoveryWithinMs = recoveryMaxMs, say = () => undefined } = options
  const random = createSeededRandom(seed)
  const asks = createSeededRandom(seed + 1)
  const broken = { replica: 0, frozen: 0, database: 0, wire: 0 }
  let slowestRecoveryMs = 0
  await using fleet = await startFleet(seed)
  for (let kill = 1; kill <= kills; kill += 1) {
    const event = drawEvent(random)
    const recoveryMs = await suffer(fleet, event, asks, recoveryWithinMs)
    for (const { what } of event.breakages) broken[what] += 1
    slowestRecoveryMs = Math.max(slowestRecoveryMs, recoveryMs)
    const { tally } = await fleet.scene.judge('serving')
    say(
      `event ${kill}, ${describeEvent(event)}: up after ${recoveryMs} ms; ${describeTally(tally)}`,
    )
  }
  await stopInOrder(fleet)
  const { tally } = await fleet.scene.judge('killed')
  return { ...tally, broken, slowestRecoveryMs }
}

export const describeFleetTally = ({ broken, slowestRecoveryMs, ...tally }: FleetTally): string =>
  `${broken.replica} replicas killed, ${broken.frozen} frozen, ${broken.database} databases, ` +
  `${broken.wire} wires; ` +
  `slowest recovery ${slowestRecoveryMs} ms of ${recoveryPromisedMs} ms; ${describeTally(tally)}`

interface Fleet extends AsyncDisposable {
  readonly scene: Scene
  readonly database: TestPostgres
  readonly replicas: readonly Replica[]
}

/** One of the fleet, whichever process it is at the moment. */
interface Replica {
  readonly wires: Wires
  readonly service: Service
  kill(): Promise<void>
  start(): void
}

async function startFleet(seed: number): Promise<Fleet> {
  await using starting = new AsyncDisposableStack()
  const database = starting.adopt(await startPostgres(), (one) => one.stop())
  const ledger = homeInDatabase(await database.createDatabase())
  const scene = starting.use(await openScene({ seed, places: 4, vaultTokenSeconds: 3599, ledger }))
  await slowDown(scene)
  const replicas = await Promise.all(
    Array.from({ length: replicaCount }, async () =>
      createReplica(scene, starting.use(await layWires(portsOf(scene.cloud, database)))),
    ),
  )
  await Promise.all(replicas.map(({ service }) => service.ready))
  if (!replicas.every(({ wires }) => wires.areUsed())) {
    throw new Error('a replica goes past its wires, so that nothing could be cut')
  }
  const started = starting.move()
  return { scene, database, replicas, [Symbol.asyncDispose]: () => started.disposeAsync() }
}

function portsOf({ endpoints }: Cloud, database: TestPostgres) {
  const urls = [
    endpoints.authority,
    ...Object.values(endpoints.vaults),
    ...Object.values(endpoints.issuers),
    ...Object.values(endpoints.managedIdentities).map(({ endpoint }) => endpoint),
  ]
  const cloud = new Set(urls.map((url) => Number(new URL(url).port)))
  return { database: [database.port], cloud: [...cloud] }
}

function createReplica(scene: Scene, wires: Wires): Replica {
  let service = scene.startService(wires.variables)
  return {
    wires,
    get service() {
      return service
    },
    kill: async () => {
      const { code, signal } = await service.program.end('SIGKILL')
      if (signal !== 'SIGKILL') throw endedByItself(service, code)
    },
    start: () => {
      service = scene.startService(wires.variables)
    },
  }
}

const endedByItself = ({ program }: Service, code: number | null) =>
  new Violated([`a replica ended by itself with ${String(code)}: ${program.lastLines()}`])

type Breakage =
  | { readonly what: 'replica'; readonly index: number }
  /** It stands still, goes on where it was, and does not know. */
  | { readonly what: 'frozen'; readonly index: number }
  | { readonly what: 'database' }
  | { readonly what: 'wire'; readonly index: number; readonly to: Peer; readonly how: Interruption }

interface Event {
  /** All at once, each thing once. */
  readonly breakages: readonly Breakage[]
  /** For so long clients have asked before. */
  readonly afterMs: number
  /** Now and then longer than most waits, and shorter than what callers wait. */
  readonly lastsMs: number
}

function drawEvent(random: SeededRandom): Event {
  const isLong = random.next() < 0.06
  const lastsMs = isLong ? 3000 + random.below(6000) : random.below(1000)
  const times = { afterMs: 50 + random.below(350), lastsMs }
  const first = drawBreakage(random)
  const chance = random.next()
  // All of them, as when whoever runs them restarts what it runs.
  if (chance < 0.1) return { ...times, breakages: everyReplica }
  const second = chance < 0.4 ? drawBreakage(random) : first
  return { ...times, breakages: areApart(first, second) ? [first, second] : [first] }
}

/** What is killed cannot stand still, and nothing breaks twice. */
const areApart = (one: Breakage, other: Breakage) =>
  one.what !== other.what && !(isOfProcess(one) && isOfProcess(other) && one.index === other.index)

const isOfProcess = (breakage: Breakage) =>
  breakage.what === 'replica' || breakage.what === 'frozen'

const everyReplica: readonly Breakage[] = Array.from({ length: replicaCount }, (_, index) => ({
  what: 'replica',
  index,
}))

function drawBreakage(random: SeededRandom): Breakage {
  const index = random.below(replicaCount)
  const chance = random.next()
  if (chance < 0.3) return { what: 'replica', index }
  if (chance < 0.45) return { what: 'frozen', index }
  if (chance < 0.6) return { what: 'database' }
  const to = random.next() < 0.6 ? 'database' : 'cloud'
  return { what: 'wire', index, to, how: random.next() < 0.5 ? 'cut' : 'stall' }
}

const describeEvent = ({ breakages, afterMs, lastsMs }: Event) =>
  `${breakages.map(describeBreakage).join(' and ')} after ${afterMs} ms, for ${lastsMs} ms`

function describeBreakage(breakage: Breakage): string {
  switch (breakage.what) {
    case 'replica':
      return `replica ${breakage.index}`
    case 'frozen':
      return `replica ${breakage.index} (frozen)`
    case 'database':
      return 'the database'
    case 'wire':
      return `replica ${breakage.index} to ${breakage.to} (${breakage.how})`
  }
}

/** @returns How long it took, from when all was up, until each replica had issued something again. */
async function suffer(
  fleet: Fleet,
  event: Event,
  asks: SeededRandom,
  withinMs: number,
): Promise<number> {
  const { scene, replicas } = fleet
  await using stack = new AsyncDisposableStack()
  const loads = replicas.map((replica) =>
    stack.use(
      startLoad(
        () => replica.service.origin,
        () => scene.clients,
        asks,
        clientsOfReplica,
      ),
    ),
  )
  await delay(event.afterMs)
  const mends = await Promise.all(event.breakages.map((breakage) => breakIt(fleet, breakage)))
  await delay(event.lastsMs)
  for (const mend of mends.toSorted(replicasFirst)) await mend.mend()
  await Promise.all(replicas.map(({ service }) => service.origin))

  const upAtMs = performance.now()
  const recovered = Promise.all(loads.map((load) => load.issuedAgain()))
  await withDeadline(withinMs, () => recovered).catch(() => {
    const lines = replicas.map(({ service }) => service.program.lastLines())
    throw new Violated([`not served again after ${withinMs} ms`, ...lines])
  })
  const recoveryMs = Math.round(performance.now() - upAtMs)
  const heard = await Promise.all(loads.map((load) => load.stop(clientPatienceMs)))
  scene.heard.push(...heard.flat())
  return recoveryMs
}

interface Mend {
  readonly what: Breakage['what']
  mend(): Promise<void>
}

/** So that a replica whose database was lost too starts without one. */
const replicasFirst = (one: Mend, other: Mend) =>
  Number(other.what === 'replica') - Number(one.what === 'replica')

async function breakIt({ database, replicas }: Fleet, breakage: Breakage): Promise<Mend> {
  const { what } = breakage
  if (what === 'database') {
    await database.kill()
    return { what, mend: () => database.start() }
  }
  const replica = required(replicas[breakage.index])
  if (what === 'wire') return mendBy(what, replica.wires.interrupt(breakage.to, breakage.how))
  if (what === 'frozen') return mendBy(what, replica.service.program.freeze())
  await replica.kill()
  return {
    what,
    mend: async () => {
      replica.start()
      await replica.service.origin
    },
  }
}

const mendBy = (what: Breakage['what'], mend: () => void): Mend => ({
  what,
  mend: () => {
    mend()
    return Promise.resolve()
  },
})

async function stopInOrder({ replicas }: Fleet): Promise<void> {
  await Promise.all(
    replicas.map(async ({ service }) => {
      const { code } = await service.program.end('SIGTERM')
      if (code !== 0) throw endedByItself(service, code)
    }),
  )
}
