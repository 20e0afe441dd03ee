import { setTimeout as delay } from 'node:timers/promises'
import { createSeededRandom, type SeededRandom } from '../../../src/emulator/random.ts'
import { startLoad } from './clients.ts'
import type { FaultOrder } from './cloud.ts'
import { drawOnTheWay, orderFor } from './fault-schedule.ts'
import { holdLedger } from './ledger-evidence.ts'
import { describeTally, openScene, type Scene, type Tally, Violated } from './scene.ts'

export interface KillOptions {
  /** Decides what is asked, what goes wrong and when; which instruction a kill meets, no seed decides. */
  readonly seed: number
  readonly kills: number
  readonly say?: (line: string) => void
}

/**
 * Kills the service under load again and again, on one ledger, and judges after each kill; the first
 * time before it has ever run. Twice it may stop in order, and then owes nothing.
 *
 * @throws Violated after the first kill that something did not survive.
 */
export async function surviveKills(options: KillOptions): Promise<Tally> {
  const { seed, kills, say = () => undefined } = options
  // Two of them, so that how much is asked does not decide how the next life ends.
  const random = createSeededRandom(seed)
  const asks = createSeededRandom(seed + 1)
  await using scene = await openScene({ seed, places: 4, vaultTokenSeconds: 3599 })
  for (let kill = 1; kill <= kills; kill += 1) {
    const death = drawDeath(random, kill)
    await killAt(scene, death, asks)
    const { tally } = await scene.judge('killed')
    say(`kill ${kill}, ${describeDeath(death)}: ${describeTally(tally)}`)
    if (kill === 1) await liveInOrder(scene, asks)
  }
  return await liveInOrder(scene, asks)
}

/** Nothing worse than answers that take their time, so that kills meet them under way. */
export async function slowDown({ cloud }: Pick<Scene, 'cloud'>): Promise<void> {
  await cloud.disarm()
  const often = { kind: 'delay', probability: 0.3, times: 1_000_000 } as const
  await cloud.arm({ at: 'vault', match: '/sign', delayMs: 60, ...often })
  await cloud.arm({ at: 'token-endpoint', delayMs: 40, ...often })
}

interface Death {
  readonly after: 'start' | 'ready'
  readonly ms: number
  /** What goes wrong besides, once it is ready. */
  readonly faults: readonly FaultOrder[]
  /** For so long before the kill nothing could be written into the ledger, as on a disk that hangs. */
  readonly heldMs: number
}

/**
 * The first kill, and one in five of the others, does not wait until the service is ready. Each sixth
 * comes late enough for tokens to be refreshed.
 */
function drawDeath(random: SeededRandom, kill: number): Death {
  const late = kill % 6 === 0
  if (kill === 1 || (!late && random.next() < 0.2)) {
    return { after: 'start', ms: random.below(1000), faults: [], heldMs: 0 }
  }
  const faults = random.next() < 0.5 ? drawOnTheWay(random) : []
  return {
    after: 'ready',
    ms: late ? 3000 + random.below(1500) : 20 + random.below(400),
    faults: faults.map((fault) => orderFor(fault, random)),
    heldMs: random.next() < 0.3 ? 50 + random.below(100) : 0,
  }
}

const describeDeath = ({ after, ms, faults, heldMs }: Death) =>
  `${ms} ms after ${after}` +
  (faults.length === 0 ? '' : ', amid faults') +
  (heldMs === 0 ? '' : `, the ledger held for ${heldMs} ms`)

async function killAt(scene: Scene, death: Death, asks: SeededRandom): Promise<void> {
  await slowDown(scene)
  const service = scene.startService()
  await using load = startLoad(
    () => service.origin,
    () => scene.clients,
    asks,
  )
  if (death.after === 'ready') await service.ready
  for (const fault of death.faults) await scene.cloud.arm(fault)
  await delay(death.ms)
  using held = new DisposableStack()
  if (death.heldMs > 0) held.use(holdLedger(scene.ledger.named))
  await delay(death.heldMs)
  const { code, signal } = await service.program.end('SIGKILL')
  scene.heard.push(...(await load.stop()))
  if (signal === 'SIGKILL') return
  throw new Violated([`it ended by itself with ${String(code)}: ${service.program.lastLines()}`])
}

const lifeMs = 300
/** Clients go on asking for so long after the service was told to stop. */
const stoppingMs = 50

/** A life that ends as the platform ends it, while clients still ask. */
async function liveInOrder(scene: Scene, asks: SeededRandom): Promise<Tally> {
  await slowDown(scene)
  const service = scene.startService()
  await using load = startLoad(
    () => service.origin,
    () => scene.clients,
    asks,
  )
  await service.ready
  await delay(lifeMs)
  const ended = service.program.end('SIGTERM')
  await delay(stoppingMs)
  scene.heard.push(...(await load.stop()))
  const { code } = await ended
  if (code !== 0) throw new Violated([`it stopped with ${String(code)}`])
  return (await scene.judge('stopped')).tally
}
