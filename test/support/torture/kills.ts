import { setTimeout as delay } from 'node:timers/promises'
import type { Entry } from '../../../src/ledger/entry.ts'
import { createSeededRandom, type SeededRandom } from '../../../src/emulator/random.ts'
import { startLoad } from './clients.ts'
import { openSinceLastStart } from './judge-signatures.ts'
import { describeTally, openScene, type Scene, type Tally, Violated } from './scene.ts'

export interface KillOptions {
  /** Decides what is asked and when is killed. Which instruction a kill meets, no seed decides. */
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
  const random = createSeededRandom(seed)
  await using scene = await openScene({ seed, places: 4, vaultTokenSeconds: 3599 })
  await slowDown(scene)
  for (let kill = 1; kill <= kills; kill += 1) {
    const moment = drawMoment(random, kill)
    await killAt(scene, moment, random)
    const { tally } = await scene.judge()
    say(`kill ${kill}, ${moment.ms} ms after ${moment.after}: ${describeTally(tally)}`)
    if (kill === 1) await liveInOrder(scene, random)
  }
  return await liveInOrder(scene, random)
}

/** So that kills meet signatures and exchanges whose answers are under way. */
async function slowDown({ cloud }: Scene): Promise<void> {
  const often = { kind: 'delay', probability: 0.3, times: 1_000_000 } as const
  await cloud.arm({ at: 'vault', match: '/sign', delayMs: 60, ...often })
  await cloud.arm({ at: 'token-endpoint', delayMs: 40, ...often })
}

interface Moment {
  readonly after: 'start' | 'ready'
  readonly ms: number
}

/** The first kill, and one in five of the others, does not wait until the service is ready. */
const drawMoment = (random: SeededRandom, kill: number): Moment =>
  kill === 1 || random.next() < 0.2
    ? { after: 'start', ms: random.below(1000) }
    : { after: 'ready', ms: 20 + random.below(400) }

async function killAt(scene: Scene, moment: Moment, random: SeededRandom): Promise<void> {
  const service = scene.startService()
  const load = startLoad(service.origin, () => scene.clients, random)
  if (moment.after === 'ready') await service.ready
  await delay(moment.ms)
  const { code, signal } = await service.program.end('SIGKILL')
  scene.heard.push(...(await load.stop()))
  if (signal === 'SIGKILL') return
  throw new Violated([`it ended by itself with ${String(code)}: ${service.program.lastLines()}`])
}

const lifeMs = 300
/** Clients go on asking for so long after the service was told to stop. */
const stoppingMs = 50

/** A life that ends as the platform ends it, while clients still ask. */
async function liveInOrder(scene: Scene, random: SeededRandom): Promise<Tally> {
  const service = scene.startService()
  const load = startLoad(service.origin, () => scene.clients, random)
  await service.ready
  await delay(lifeMs)
  const ended = service.program.end('SIGTERM')
  await delay(stoppingMs)
  scene.heard.push(...(await load.stop()))
  const { code } = await ended
  if (code !== 0) throw new Violated([`it stopped with ${String(code)}`])
  const { entries, tally } = await scene.judge()
  const owed = owedAfterStop(entries)
  if (owed.length > 0) throw new Violated(owed)
  return tally
}

function owedAfterStop(entries: readonly Entry[]): readonly string[] {
  const last = entries.at(-1)?.kind ?? 'nothing'
  return [
    ...openSinceLastStart(entries),
    ...(last === 'service.stopped' ? [] : [`the service stopped, and ${last} is its last entry`]),
  ]
}
