// Loads the built service for a while: a constant rate of warm tokens for many tenants and callers, tokens that
// live two minutes and are refreshed ahead, assertions that need a fresh signature, requests that are refused,
// and a vault that misbehaves for ten seconds of every minute. Asserts that nothing grows, that nothing fails
// but by those faults, and that ledger and reconcile account for all of it; the exit code says so.
//
//   npm run soak [-- --minutes 10]        1 to 600
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  type BenchCloud,
  scope,
  type Service,
  startCloud,
  stopEverything,
  tenantAt,
} from './cloud.ts'
import { readable } from './curve.ts'
import { type LoadResult, requestBytes, runLoad } from './load.ts'
import { fill } from './many-tokens.ts'
import { openHandles, residentMegabytes } from './process-facts.ts'
import { metricsOf } from './service-metrics.ts'
import { createFaultPlayer, isExcusedAt, lostAnswersMax } from './soak-faults.ts'
import {
  type Failure,
  judgeSoak,
  type Reconciled,
  type Sample,
  type SoakRecord,
} from './soak-judge.ts'
import { createOddities } from './soak-oddities.ts'
import { printCells } from './table.ts'

const tenants = 300
const callers = 50
const tokenSeconds = 120
const tokenCache = { minRemainingSeconds: 30, refreshAheadSeconds: 60 }
const connections = 32
const ratePerSecond = 300
const oddityEveryMs = 500
const sampleMs = 5000
/** Callers come with new tokens well before theirs end. */
const callersEverySamples = 240

const usage = 'npm run soak -- [--minutes N]      1 to 600 (10)'

function readMinutes(): number | undefined {
  try {
    const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
    const minutes = /^\d{1,3}$/.test(values.minutes) ? Number(values.minutes) : 0
    return minutes >= 1 && minutes <= 600 ? minutes : undefined
  } catch {
    return undefined
  }
}

async function soak(minutes: number): Promise<boolean> {
  const build = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' })
  if (build.status !== 0) throw new Error('the build failed')
  const cloud = await startCloud({ tenants, scopes: 1, tokenSeconds, throttleScale: 1 })
  try {
    const service = await cloud.startService({ sections: { tokenCache, governor: {} } })
    const { samples, failures } = await load(cloud, service, (minutes * 60_000) / sampleMs)
    await service.stop()
    await cloud.control('POST /vault-log/flush')
    return report({
      samples,
      failures,
      verifyCode: run(service, 'ledger', 'verify').status,
      reconciled: reconcile(cloud, service),
      lostAnswersMax: lostAnswersMax(minutes * 60),
    })
  } finally {
    await stopEverything()
    await cloud.stop()
  }
}

type Loaded = Pick<SoakRecord, 'samples' | 'failures'>

async function load(cloud: BenchCloud, service: Service, count: number): Promise<Loaded> {
  const samples: Sample[] = []
  const failures: Failure[] = []
  let { tokens, requests } = await newCallers(cloud)
  await fill(service, requests)
  const startedMs = performance.now()
  const second = () => Math.round((performance.now() - startedMs) / 1000)
  const failed = (failure: Omit<Failure, 'second' | 'isExcused'>) => {
    failures.push({ ...failure, second: second(), isExcused: isExcusedAt(second()) })
  }
  const beside = playBeside(cloud, service, { second, failed, token: () => tokens[0] ?? '' })
  while (samples.length < count) {
    if (samples.length % callersEverySamples === callersEverySamples - 1) {
      ;({ tokens, requests } = await newCallers(cloud))
    }
    const slice = await runLoad({
      ...{ host: '127.0.0.1', port: service.port, connections, requests, ratePerSecond },
      durationMs: sampleMs,
    })
    // Warm tokens are refreshed before they end, faults or not.
    for (let refused = 0; refused < slice.refused; refused += 1) {
      failures.push({ second: second(), what: 'a warm token', came: 'refused', isExcused: false })
    }
    samples.push(await sampleOf(service, second(), slice))
  }
  await beside.end()
  return { samples, failures }
}

async function newCallers(cloud: BenchCloud) {
  const tokens = await Promise.all(
    Array.from({ length: callers }, (_, index) => cloud.callerToken(`repo:contoso/job-${index}`)),
  )
  const requests = Array.from({ length: tenants }, (_, index) =>
    requestBytes(
      '/v1/token',
      { authorization: `Bearer ${tokens[index % callers] ?? ''}` },
      JSON.stringify({ application: 'events', tenant: tenantAt(index), scope }),
    ),
  )
  return { tokens, requests }
}

interface Soaking {
  readonly second: () => number
  readonly token: () => string
  readonly failed: (failure: Omit<Failure, 'second' | 'isExcused'>) => void
}

/** Faults, and requests that are not warm, until it is ended. */
function playBeside(cloud: BenchCloud, service: Service, { second, token, failed }: Soaking) {
  const faults = createFaultPlayer(cloud)
  const oddities = createOddities(cloud, service)
  const underWay = new Set<Promise<void>>()
  const askOne = async () => {
    const failure = await oddities.askNext(token())
    if (failure !== undefined) failed(failure)
  }
  const over = new AbortController()
  const playing = (async () => {
    while (!over.signal.aborted) {
      await faults.play(second())
      const asking = askOne().finally(() => underWay.delete(asking))
      underWay.add(asking)
      await delay(oddityEveryMs)
    }
  })()
  return {
    end: async () => {
      over.abort()
      await playing
      await Promise.all(underWay)
      await oddities.close()
    },
  }
}

async function sampleOf(service: Service, second: number, slice: LoadResult): Promise<Sample> {
  const metrics = await metricsOf(service.port)
  const megabytes = (name: string) => (metrics.get(name) ?? Number.NaN) / 1024 / 1024
  return {
    second,
    residentMegabytes: residentMegabytes(service.pid),
    heapMegabytes: megabytes('nodejs_heap_size_used_bytes'),
    p50Ms: slice.p50Ms,
    p99Ms: slice.p99Ms,
    handles: openHandles(service.pid),
    cacheMegabytes: megabytes('countersign_token_cache_bytes'),
    ledgerMegabytes: statSync(service.ledgerFile).size / 1024 / 1024,
    unproved: metrics.get('countersign_signatures_unproved') ?? Number.NaN,
  }
}

function reconcile(cloud: BenchCloud, service: Service): Reconciled {
  const { status, stdout } = run(
    service,
    ...['reconcile', '--vault-log', cloud.endpoints.vaultLogFolder],
    ...['--grace-minutes', '0', '--json'],
  )
  if (stdout === '') throw new Error(`reconcile could not decide (exit code ${status ?? 'none'})`)
  return JSON.parse(stdout) as Reconciled
}

/** A verb on the ledger of a service. */
function run({ ledgerFile }: Service, ...args: readonly string[]) {
  const cli = new URL('../dist/program/countersign.js', import.meta.url).pathname
  return spawnSync(process.execPath, [cli, ...args, '--ledger', ledgerFile], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 30,
  })
}

const linesMax = 40

function report(record: SoakRecord): boolean {
  const { samples } = record
  const every = Math.ceil(samples.length / linesMax)
  const columns = Object.keys(samples[0] ?? {}) as (keyof Sample)[]
  console.log('')
  printCells([
    columns,
    ...samples
      .filter((_, index) => index % every === 0 || index === samples.length - 1)
      .map((sample) => columns.map((column) => readable(sample[column]))),
  ])
  const verdicts = judgeSoak(record)
  console.log('')
  for (const { ok, words } of verdicts) console.log(`${ok ? 'kept  ' : 'BROKEN'}  ${words}`)
  return verdicts.every(({ ok }) => ok)
}

const minutes = readMinutes()
if (minutes === undefined) {
  console.log(usage)
  process.exitCode = 2
} else process.exitCode = (await soak(minutes)) ? 0 : 1
