// Asserts that no entry is lost and no signature unexplained, whenever the service, one of its replicas or
// their database is killed and whatever goes wrong around them. The daily tests play one scene of each kind; this plays as many as it is told to,
// each with a cloud and a ledger of its own and a seed of its own, so that one that fails can be repeated
// by itself. Everything happens in temporary folders and on loopback.
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createSeededRandom } from '../src/emulator/random.ts'
import { allFaults, allPairs, pairwiseRounds } from '../test/support/torture/fault-schedule.ts'
import { surviveFaults } from '../test/support/torture/faults.ts'
import {
  describeFleetTally,
  recoveryPromisedMs,
  surviveFleetKills,
} from '../test/support/torture/fleet-kills.ts'
import { surviveKills } from '../test/support/torture/kills.ts'
import { describeTally } from '../test/support/torture/scene.ts'

/** On one ledger; with more, each judgement would take longer than a life of the service. */
const killsPerScene = 20

const usage = `npm run torture -- [--kills N] [--fleet-kills N] [--faults N] [--seed N]

  --kills N        kills of the service, ${killsPerScene} on one ledger (200)
  --fleet-kills N  kills of one of three replicas, of their database, or of what is between them, and
                   replicas that stand still for a while, ${killsPerScene} on one ledger (500)
  --faults N       rounds of five faults at once; some seventy bring every two together (400)
  --seed N         decides what is asked, what goes wrong and when (drawn, and printed)`

interface Options {
  readonly kills: number
  readonly fleetKills: number
  readonly faults: number
  readonly seed: number
}

interface Scene {
  readonly name: string
  /** What plays it again, and nothing else. */
  readonly again: string
  /** Resolves with what it has seen. */
  play(): Promise<string>
}

function readOptions(): Options {
  const { values } = parsed()
  const numbers = [values.kills, values['fleet-kills'], values.faults, values.seed]
  if (values.help) exit(0, usage)
  if (!numbers.every((text) => /^\d{1,9}$/.test(text))) exit(2, usage)
  const [kills = 0, fleetKills = 0, faults = 0, seed = 0] = numbers.map(Number)
  return { kills, fleetKills, faults, seed }
}

function parsed() {
  try {
    return parseArgs({
      options: {
        kills: { type: 'string', default: '200' },
        'fleet-kills': { type: 'string', default: '500' },
        faults: { type: 'string', default: '400' },
        seed: { type: 'string', default: String(randomInt(1_000_000)) },
        help: { type: 'boolean', default: false },
      },
    })
  } catch {
    return exit(2, usage)
  }
}

/** The processes and folders of the scene that is on end with this process, however it ends. */
function exit(code: number, words: string): never {
  console.log(words)
  process.exit(code)
}

async function torture(options: Options): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => exit(130, '\nINTERRUPTED: nothing is decided.'))
  }
  const startedMs = performance.now()
  const scenes = [...killScenes(options), ...fleetScenes(options), ...faultScenes(options)]
  const seen: string[] = []
  console.log(`seed ${options.seed}, ${describeOptions(options)}`)
  for (const [index, scene] of scenes.entries()) {
    console.log(`\nscene ${index + 1} of ${scenes.length}: ${scene.name}`)
    seen.push(`${scene.name}: ${await survived(scene)}`)
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  console.log(`\n${seen.join('\n')}`)
  console.log(`SURVIVED, in ${seconds} s: ${describeOptions(options)}.`)
}

const describeOptions = ({ kills, fleetKills, faults }: Options) =>
  `${kills} kills, ${fleetKills} kills in a fleet, ${faults} rounds of faults`

async function survived(scene: Scene): Promise<string> {
  try {
    return await scene.play()
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const again = `npm run torture -- ${scene.again}`
    return exit(1, `\n${what}\n\nNOT SURVIVED: ${scene.name}. Again with: ${again}`)
  }
}

const say = (line: string) => {
  console.log(`  ${line}`)
}

const killScenes = ({ kills, seed }: Options): readonly Scene[] =>
  shares(kills, killsPerScene).map((share, index) => ({
    name: `${share} kills`,
    again: `--seed ${seed + index} --kills ${share} --fleet-kills 0 --faults 0`,
    play: async () => describeTally(await surviveKills({ seed: seed + index, kills: share, say })),
  }))

const fleetScenes = ({ fleetKills, seed }: Options): readonly Scene[] =>
  shares(fleetKills, killsPerScene).map((share, index) => ({
    name: `${share} kills in a fleet`,
    again: `--seed ${seed + index} --kills 0 --fleet-kills ${share} --faults 0`,
    play: async () => {
      const recoveryWithinMs = recoveryPromisedMs
      const options = { seed: seed + index, kills: share, recoveryWithinMs, say }
      return describeFleetTally(await surviveFleetKills(options))
    },
  }))

/** A scene is one pass through every pair of faults; each seed makes its own. */
function faultScenes({ faults, seed }: Options): readonly Scene[] {
  const roundsPerScene = pairwiseRounds(createSeededRandom(seed)).length
  return shares(faults, roundsPerScene).map((share, index) => ({
    name: `${share} rounds of faults`,
    again: `--seed ${seed + index} --kills 0 --fleet-kills 0 --faults ${share}`,
    play: async () => {
      const tally = await surviveFaults({ seed: seed + index, rounds: share, say })
      return (
        `${tally.struck.size} of ${allFaults.length} faults and ${tally.pairsMet} of ` +
        `${allPairs.size} pairs struck; ${describeTally(tally)}`
      )
    },
  }))
}

/** 45 in shares of 20: 20, 20, 5. */
const shares = (whole: number, share: number): readonly number[] =>
  Array.from({ length: Math.ceil(whole / share) }, (_, index) =>
    Math.min(share, whole - index * share),
  )

await torture(readOptions())
