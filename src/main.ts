import { setFlagsFromString } from 'node:v8'
import type { Logger } from 'pino'
import { proveAll, startProving, startReloading, startTasks } from './background.ts'
import type { BackgroundTask } from './base/background-task.ts'
import type { Clock } from './base/clock.ts'
import { aborted, stopSignal } from './base/stop-signal.ts'
import { trustAlso } from './base/trusted-roots.ts'
import { settlesWithin, withDeadline } from './base/deadline.ts'
import { isTransient } from './base/transient.ts'
import type { Config } from './config/config.ts'
import { type CutBy, listen, type Listener } from './http/listener.ts'
import { ListenerError } from './http/listener-error.ts'
import { listenOnSocket } from './http/socket-listener.ts'
import type { CompiledGrants } from './policy/compile-grants.ts'
import { createService, type Service } from './wiring.ts'

/** Everything that `countersign serve` has found out before it begins. */
export interface ServeOptions {
  /** `countersign.yaml` first, and those that it names; absolute. */
  readonly configFiles: readonly string[]
  readonly config: Config
  readonly policy: CompiledGrants
  readonly identityClientId: string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  readonly contractFile: string
}

/** How a run has ended. `hanging`: all is written and closed, but a file does not answer. */
export type RunEnd = 'ended' | 'hanging'

/** In-flight requests may wait for a vault and a token endpoint. Give the platform's own limit more than this. */
const drainDeadlineMs = 25_000
/** Probes and scrapers are answered from memory. */
const machinesDrainDeadlineMs = 1000
/** Of another replica's turn, one request to a vault, and two commits. */
const lastHeadMs = 5000
/** Anchors have 5 s of their own once it is signed; commits that hang are left. */
const lastHeadKeptMs = 6000
/** Between attempts at what the start waits for; it doubles up to the longest. */
const firstPauseMs = 500
/** Each one asks a vault several times. */
const longestProvingPauseMs = 30_000
/** As while it serves: a database that is there again is found within seconds. */
const longestOpeningPauseMs = 3000

/**
 * Serves until the process is told to stop (SIGTERM, SIGINT), then drains.
 *
 * Listens at once, but is ready only when its ledger is open and every certificate, or its standby, is
 * proven: an answer that is wrong ends the start, no answer leaves it waiting. Meanwhile it serves what
 * needs no signature, as soon as it can write it down.
 *
 * @throws when it cannot start, or when a certificate is not what the configuration demands.
 */
export async function serve(options: ServeOptions): Promise<RunEnd> {
  openNoDebugger()
  collectGarbageEarly()
  trustAlso(options.config.trust.caFiles)
  const stop = stopSignal()
  const service = await createService(options)
  const ending = new AbortController()
  const begun = begin(service, options, AbortSignal.any([stop, ending.signal]))
  try {
    // Whoever waits for it is told; the listeners may fail before.
    begun.catch(() => undefined)
    // What is kept in a file is here, and its entries come first.
    if (options.config.ledger.kind === 'sqlite') await begun
    const listeners = await openListeners(service, options)
    await serveUntil(stop, service, listeners, begun, options)
  } finally {
    // Nothing is opened any more while it is closed.
    ending.abort()
    await begun.catch(() => undefined)
    await service.ledger.close()
    await service.close()
  }
  return service.heads?.hangs() === true ? 'hanging' : 'ended'
}

/** For a run that ended `hanging`: an exit would join the thread that the file holds, and hang as it does. */
export function endBySignal(): void {
  process.removeAllListeners('SIGTERM')
  process.kill(process.pid, 'SIGTERM')
}

interface Listeners {
  readonly callers: Listener
  /** Undefined where machines have none of their own. */
  readonly machines: Listener | undefined
  /** Undefined where there is no local socket. */
  readonly revocations: Listener | undefined
}

const drainNow = ({ callers, machines, revocations }: Partial<Listeners>) =>
  Promise.all([callers?.drain(0), machines?.drain(0), revocations?.drain(0)])

/** @throws ListenerError | UnixSocketError when one of them cannot be opened; then none is. */
async function openListeners(service: Service, options: ServeOptions): Promise<Listeners> {
  const machines = await openMachines(service, options)
  let revocations: Listener | undefined
  try {
    revocations = await openRevocations(service, options)
    return { callers: await openCallers(service, options), machines, revocations }
  } catch (error) {
    await drainNow({ machines, revocations })
    throw error
  }
}

async function openCallers(service: Service, options: ServeOptions): Promise<Listener> {
  const { config, logger } = options
  try {
    const callers = await listen(service.app.answer, config.listen, warnOfCutConnections(options))
    logger.info({ origin: callers.origin }, 'listening')
    service.reloading.onOwnCertificate(callers.show)
    return callers
  } catch (error) {
    throw new ListenerError('listen', config.listen, error)
  }
}

async function openRevocations(
  service: Service,
  { config, logger }: ServeOptions,
): Promise<Listener | undefined> {
  const { revocationSocket } = config.listen
  if (revocationSocket === undefined) return undefined
  const revocations = await listenOnSocket(service.revocationsApp, revocationSocket)
  logger.info({ origin: revocations.origin }, 'listening for revocations')
  return revocations
}

async function openMachines(
  service: Service,
  { config, logger }: ServeOptions,
): Promise<Listener | undefined> {
  if (config.machines.at !== 'own-listener') return undefined
  const settings = config.machines.listen
  try {
    const machines = await listen(service.machinesApp, settings)
    logger.info({ origin: machines.origin }, 'listening for machines')
    return machines
  } catch (error) {
    throw new ListenerError('machines', settings, error)
  }
}

async function serveUntil(
  stop: AbortSignal,
  service: Service,
  listeners: Listeners,
  begun: Promise<Begun>,
  options: ServeOptions,
): Promise<void> {
  const { logger } = options
  const tasks: BackgroundTask[] = []
  try {
    if ((await begun) === 'stopped') {
      await leave(service, listeners, logger)
      return
    }
    // Before all is proven: what is shared is served by then, and whoever drops some of it must be heard.
    tasks.push(...startTasks(service, options), startReloading(service, options, onHangUp))
    await Promise.all([
      proveCertificates(service, logger, stop),
      Promise.race([service.budgets.prove(), aborted(stop)]),
      Promise.race([service.tokenSharing?.prove(), aborted(stop)]),
    ])
    const { grants } = service.policies.current().policy
    if (!stop.aborted) logger.info({ grants: grants.length }, 'ready')
    tasks.push(startProving(service, logger))
    if (!stop.aborted) await aborted(stop)
    await drain(service, listeners, tasks, options)
  } catch (error) {
    await drainNow(listeners)
    await Promise.all(tasks.map((task) => task.stop()))
    throw error
  }
}

/** Once a minute at most: whoever takes all connections must not fill the log too. */
function warnOfCutConnections({ config, clock, logger }: ServeOptions): (by: CutBy) => void {
  let saidInMinute = Number.NEGATIVE_INFINITY
  return (by) => {
    const minute = Math.floor(clock.monotonicMs() / 60_000)
    if (minute === saidInMinute) return
    saidInMinute = minute
    const { connectionsMax, connectionsPerAddressMax } = config.listen
    logger.warn(
      { connectionsMax, connectionsPerAddressMax },
      `connections are cut: there are as many as listen.${by}`,
    )
  }
}

/**
 * Garbage that may gather before it is collected, in percent of what lives. By itself V8 lets it grow to
 * several times a heap that a large cache has made large; less than this costs more than it saves.
 */
const garbagePercent = 50

/** Looked at by V8 whenever it decides about the next collection, so it may be set while it runs. */
function collectGarbageEarly(): void {
  setFlagsFromString(`--heap-growing-percent=${garbagePercent}`)
}

/**
 * SIGUSR1 opens Node's debugger on loopback where nobody listens for it, and whoever is on the machine could
 * have every token by it.
 */
function openNoDebugger(): void {
  process.on('SIGUSR1', () => undefined)
}

function onHangUp(listener: () => void): () => void {
  process.on('SIGHUP', listener)
  return () => {
    process.off('SIGHUP', listener)
  }
}

/** Whether the run has begun, or was told to stop before it could. */
type Begun = 'begun' | 'stopped'

async function begin(service: Service, options: ServeOptions, stop: AbortSignal): Promise<Begun> {
  // A disk that takes nothing is for somebody to mend; only a database is waited for.
  if (options.config.ledger.kind === 'sqlite') {
    await announce(service, options)
    return 'begun'
  }
  const isDone = await untilAnswered(
    () => announce(service, options),
    longestOpeningPauseMs,
    (err, retryInMs) => {
      options.logger.warn({ err, retryInMs }, 'the ledger is not open yet')
    },
    stop,
  )
  return isDone ? 'begun' : 'stopped'
}

/** The first entries of a run: whatever follows was decided by this policy. */
function announce(service: Service, { clock, version }: ServeOptions): Promise<void> {
  return service.begin([{ kind: 'service.started', atMs: clock.nowMs(), version }])
}

async function proveCertificates(
  service: Service,
  logger: Logger,
  stop: AbortSignal,
): Promise<void> {
  await untilAnswered(
    () => proveAll(service, logger),
    longestProvingPauseMs,
    (err, retryInMs) => {
      logger.warn({ err, retryInMs }, 'certificates are not proven yet')
    },
    stop,
  )
}

/**
 * Tries until it works, with pauses that grow while there is no answer. What is tried waits for others,
 * and a stop waits for neither.
 *
 * @returns false when it was told to stop before.
 * @throws what is wrong and will not become right.
 */
async function untilAnswered(
  act: () => Promise<void>,
  longestPauseMs: number,
  onNoAnswer: (error: unknown, retryInMs: number) => void,
  stop: AbortSignal,
): Promise<boolean> {
  for (let pauseMs = firstPauseMs; !stop.aborted; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await Promise.race([act().then(() => true), aborted(stop).then(() => false)])
    } catch (error) {
      if (!isTransient(error)) throw error
      onNoAnswer(error, pauseMs)
    }
    await waitOrStop(pauseMs, stop)
  }
  return false
}

function waitOrStop(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(end, ms)
    stop.addEventListener('abort', end, { once: true })
  })
}

const drainAskers = ({ callers, revocations }: Listeners) =>
  Promise.all([callers.drain(drainDeadlineMs), revocations?.drain(drainDeadlineMs)])

/** Nothing has begun, so nothing is under way, and there is nowhere to write that it ends. */
async function leave(service: Service, listeners: Listeners, logger: Logger): Promise<void> {
  logger.info('stopping')
  service.stopping()
  await drainAskers(listeners)
  await listeners.machines?.drain(machinesDrainDeadlineMs)
  logger.info('stopped')
}

/**
 * Ends in order: no new request, what is under way whoever still waits for it, then what only the ledger
 * should outlive, and last whoever watches how it ends.
 */
async function drain(
  service: Service,
  listeners: Listeners,
  tasks: readonly BackgroundTask[],
  { clock, logger }: ServeOptions,
): Promise<void> {
  logger.info('stopping')
  service.stopping()
  const endsAtMs = clock.monotonicMs() + drainDeadlineMs
  const refreshed = withDeadline(drainDeadlineMs, () => service.refresher.stop()).catch(() => {
    logger.warn('refreshes are left under way')
  })
  await drainAskers(listeners)
  await refreshed
  // Callers hang up, and what they have asked for is signed all the same.
  const leftMs = Math.max(0, endsAtMs - clock.monotonicMs())
  if (!(await settlesWithin(service.underWay.idle(), leftMs))) {
    logger.warn({ left: service.underWay.count }, 'attempts are left under way')
  }
  await Promise.all(tasks.map((task) => task.stop()))
  // Of a disk that is nearly full what has to be written is the end, and not how many strangers there were.
  await service.turnedAway.roll('every').catch((error: unknown) => {
    logger.error({ err: error }, 'what was counted last is not written')
  })
  await service.auditReads.roll('every').catch((error: unknown) => {
    logger.error({ err: error }, 'how often the ledger was read last is not written')
  })
  await service.proofs.publish()
  const { unproved } = service.proofs
  await service.ledger.append([{ kind: 'service.stopped', atMs: clock.nowMs(), unproved }])
  await signLastHead(service, clock, logger)
  await listeners.machines?.drain(machinesDrainDeadlineMs)
  logger.info({ unproved }, 'stopped')
}

/** What it could not be signed for is said, and nobody waits for it longer than for what was asked. */
async function signLastHead({ heads }: Service, clock: Clock, logger: Logger): Promise<void> {
  if (heads === undefined) return
  const outcome = await withDeadline(lastHeadMs + lastHeadKeptMs, () =>
    heads.signLast(clock.monotonicMs() + lastHeadMs),
  ).catch(() => 'not-signed' as const)
  if (outcome === 'not-signed') logger.error('the last head was not signed')
}
