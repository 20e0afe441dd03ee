// What goes on beside the requests, again and again.
import type { Logger } from 'pino'
import { type BackgroundTask, startBackgroundTask } from './base/background-task.ts'
import { settlesWithin } from './base/deadline.ts'
import type { Config } from './config/config.ts'
import { watchFiles, watchFolder } from './reload/folder-watch.ts'
import type { Service } from './wiring.ts'

export interface BackgroundOptions {
  readonly config: Config
  readonly logger: Logger
}

const proofsEveryMs = 15_000
const turnedAwayEveryMs = 10_000
const auditReadsEveryMs = 10_000
const refreshesEveryMs = 500
const clockEveryMs = 5000
/** What one replica drops another one serves no longer than that, as long as both reach the database. */
const dropsEveryMs = 1000
const tidyEveryMs = 60_000
/** Until then a replica that issues nothing keeps what is revoked, and gives it to nobody. */
const revocationsEveryMs = 1000
/** Whether one is due: as often as the entries of a busy second count. */
const headsEveryMs = 1000
/** What whoever watches elsewhere learns of late. */
const exportEveryMs = 2000
const provingEveryMs = 30_000
/** What no hint has told of, on a network file system for one, is in force by then. */
const reloadEveryMs = 15_000
/** A folder of many grants is read, and a database asked, in less. */
const lookEndsMs = 6000

/** What the other one of a pair makes up for is tried again and again, beside the requests. */
export async function proveAll({ credentials }: Service, logger: Logger): Promise<void> {
  for (const error of await credentials.prove()) {
    logger.error({ err: error }, 'a certificate is not proven; the other one of its pair signs')
  }
}

interface LeavesOff {
  look(): Promise<void>
  leaveOff(): void
}

/**
 * What waits is given up, because somebody else does it again, and a stop does not wait for it: the next run
 * for what is exported, the end of this one for heads.
 */
function startLookingOut(
  everyMs: number,
  looking: LeavesOff,
  onFailure: (error: unknown) => void,
): BackgroundTask {
  const task = startBackgroundTask(everyMs, () => looking.look(), onFailure)
  return {
    stop: async () => {
      looking.leaveOff()
      await task.stop()
    },
  }
}

const reportFor = (task: string, logger: Logger) => (error: unknown) => {
  logger.error({ err: error, task }, 'a background task failed; it will run again')
}

/** What is not proven because the other one of its pair is. */
export const startProving = (service: Service, logger: Logger): BackgroundTask =>
  startBackgroundTask(
    provingEveryMs,
    () => proveAll(service, logger),
    reportFor('certificates', logger),
  )

/**
 * By the clock, soon after a file changed, when another replica says so, and on SIGHUP. What grants say does
 * not wait for what proving a configuration takes.
 *
 * @param onHangUp Calls for each SIGHUP; returns what ends that.
 */
export function startReloading(
  { reloading }: Service,
  { config, logger }: BackgroundOptions,
  onHangUp: (listener: () => void) => () => void,
): BackgroundTask {
  const { grants, configuration } = reloading
  const [ofGrants, ofConfiguration] = [
    reportFor('grants', logger),
    reportFor('configuration', logger),
  ]
  let isStopped = false
  const hinted = new Set<Promise<void>>()
  const lookBecauseOfHint = (look: () => Promise<void>) => {
    const looking = look().finally(() => hinted.delete(looking))
    hinted.add(looking)
  }
  let { files } = configuration
  const lookAtFiles = async (look: () => Promise<void>) => {
    await look().catch(ofConfiguration)
    if (isStopped || files === configuration.files) return
    files = configuration.files
    watchingFiles.close()
    watchingFiles = watchFiles(files, hintOfFiles)
  }
  const lookNow = () => lookAtFiles(() => configuration.look())
  const hintOfFiles = () => {
    lookBecauseOfHint(lookNow)
  }
  let watchingFiles = watchFiles(files, hintOfFiles)
  const hintOfGrants = () => {
    lookBecauseOfHint(() => grants.look().catch(ofGrants))
  }
  const tasks = [
    startBackgroundTask(reloadEveryMs, () => grants.look(), ofGrants),
    startBackgroundTask(reloadEveryMs, lookNow, ofConfiguration),
  ]
  const watch = watchFolder(config.grants.folder, hintOfGrants)
  const unwatch = grants.watch(hintOfGrants)
  const offHangUp = onHangUp(() => {
    hintOfGrants()
    lookBecauseOfHint(() => lookAtFiles(() => configuration.lookAnew()))
  })
  return {
    stop: async () => {
      isStopped = true
      offHangUp()
      watch.close()
      watchingFiles.close()
      unwatch()
      // What hangs while a certificate is proven comes to nothing, and a stop does not wait for it.
      const ending = Promise.all([...tasks.map((task) => task.stop()), ...hinted])
      await settlesWithin(ending, lookEndsMs)
    },
  }
}

export function startTasks(
  service: Service,
  { config, logger }: BackgroundOptions,
): readonly BackgroundTask[] {
  const { proofs, turnedAway, auditReads, clockWatch, refresher, tokenSharing, heads, exporting } =
    service
  const report = (task: string) => reportFor(task, logger)
  return [
    startBackgroundTask(proofsEveryMs, () => proofs.publish(), report('proofs')),
    startBackgroundTask(
      turnedAwayEveryMs,
      () => turnedAway.roll('ended-minutes'),
      report('turned-away'),
    ),
    startBackgroundTask(
      auditReadsEveryMs,
      () => auditReads.roll('ended-periods'),
      report('audit-reads'),
    ),
    startBackgroundTask(
      refreshesEveryMs,
      () => {
        // It goes on by itself: one that hangs does not keep others from their turn.
        refresher.start()
        return Promise.resolve()
      },
      report('refreshes'),
    ),
    startBackgroundTask(
      clockEveryMs,
      () => {
        clockWatch.look()
        return Promise.resolve()
      },
      report('clock'),
    ),
    ...(config.ledger.kind === 'sqlite'
      ? []
      : [
          startBackgroundTask(
            revocationsEveryMs,
            () => service.lookForRevocations(),
            report('revocations'),
          ),
        ]),
    ...(heads === undefined ? [] : [startLookingOut(headsEveryMs, heads, report('heads'))]),
    ...(tokenSharing === undefined
      ? []
      : [
          startBackgroundTask(dropsEveryMs, () => tokenSharing.lookForDrops(), report('drops')),
          startBackgroundTask(tidyEveryMs, () => tokenSharing.tidy(), report('tidy')),
        ]),
    ...(exporting === undefined
      ? []
      : [startLookingOut(exportEveryMs, exporting, report('export'))]),
  ]
}
