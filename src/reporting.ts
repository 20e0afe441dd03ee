// The page for auditors, as one more part of the wiring.
import { Worker } from 'node:worker_threads'
import { AuditError } from './audit/audit-error.ts'
import type { Clock } from './base/clock.ts'
import { withDeadline } from './base/deadline.ts'
import type { Config } from './config/config.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import type { PageMade, ReportMade, ReportWork } from './report-worker.ts'

export interface Reporting {
  /**
   * The page: made when somebody asks, by one thread at a time, and shown to everybody for a while.
   *
   * @throws AuditError when the ledger cannot be read, or not in time.
   */
  page(): Promise<PageMade>
  close(): Promise<void>
}

/** Source runs by type stripping and finds `.ts`; the build leaves `.js`. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './report-worker.ts' : './report-worker.js',
  import.meta.url,
)

/** For as long everybody is shown the same; a ledger that takes longer to read is read less often. */
const freshMs = 10_000
/** Of the time that making it took, so that it takes a part of a core and no more. */
const freshShare = 4
/** A ledger of tens of millions of entries. */
const ledgerMs = 180_000
/** Whoever looks waits: millions of records, or some dozen answers of a workspace. */
export const logsMsDefault = 60_000
/** Overviews are bounded, whatever the ledger holds. */
const heapMegabytesMax = 1024

/** A page that cannot be made is not tried again by whoever asks next: it costs as much. */
type Making = { readonly page: PageMade } | { readonly failure: unknown }
type FreshMaking = Making & { readonly staleAtMs: number }

export function createReporting(deps: {
  readonly config: Config
  readonly clock: Clock
  /** Where people sign out, who sign in where the configuration in force says so. */
  readonly signOutPath: string
  /** Of the service's own identity, where a user assigned it. */
  readonly identityClientId: string | undefined
  /** The configuration in force: which logs are read, and what is expected in them, may change under way. */
  readonly inForce: () => Config
  /** For so long logs are read: the page is made of what was, and says so. */
  readonly logsMs: number
}): Reporting {
  const { clock, logsMs } = deps
  let made: FreshMaking | undefined
  let making: Promise<FreshMaking> | undefined
  let worker: Worker | undefined

  const make = async (): Promise<PageMade> => {
    worker = new Worker(workerUrl, {
      workerData: await workOf(deps),
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytesMax },
    })
    return pageFrom(worker, ledgerMs + logsMs)
  }
  const makeFresh = async (): Promise<FreshMaking> => {
    const startedMs = clock.monotonicMs()
    const done = await make().then(
      (page): Making => ({ page }),
      (failure: unknown): Making => ({ failure }),
    )
    const endedMs = clock.monotonicMs()
    made = { ...done, staleAtMs: endedMs + Math.max(freshMs, freshShare * (endedMs - startedMs)) }
    return made
  }
  const fresh = (): FreshMaking | Promise<FreshMaking> => {
    if (made !== undefined && clock.monotonicMs() < made.staleAtMs) return made
    making ??= makeFresh().finally(() => {
      making = undefined
    })
    return making
  }

  return {
    page: async () => {
      const done = await fresh()
      if ('page' in done) return done.page
      throw new AuditError('LEDGER_UNREADABLE', { cause: done.failure })
    },
    close: async () => {
      await worker?.terminate()
    },
  }
}

async function workOf({
  config,
  clock,
  signOutPath,
  identityClientId,
  inForce,
  logsMs,
}: Parameters<typeof createReporting>[0]): Promise<ReportWork> {
  const { ledger: place, heads, trust } = config
  const now = inForce()
  return {
    ledger:
      place.kind === 'sqlite' ? { file: place.file } : { database: await locateLedger(place) },
    caFiles: trust.caFiles,
    anchors: heads?.anchors.map(({ file }) => file) ?? [],
    reading: await readingOf(now, identityClientId),
    logsMs,
    nowMs: clock.nowMs(),
    signOutPath: now.audit === undefined ? undefined : signOutPath,
  }
}

/** Undefined where no log of a vault is named. What it takes is loaded only then. */
async function readingOf(
  config: Config,
  clientId: string | undefined,
): Promise<ReportWork['reading']> {
  if (!config.reconcile.sources.some(({ kind }) => kind === 'vault-log')) return undefined
  const { configuredReading } = await import('./reconciling.ts')
  return configuredReading(config, clientId)
}

/** A thread that does not end in time is ended. */
async function pageFrom(worker: Worker, makingMs: number): Promise<PageMade> {
  try {
    return await withDeadline(makingMs, () => answerOf(worker))
  } finally {
    void worker.terminate()
  }
}

function answerOf(worker: Worker): Promise<PageMade> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', () => {
      reject(new Error('the thread that makes the page has ended'))
    })
    worker.once('message', (answer: ReportMade) => {
      if ('page' in answer) resolve(answer.page)
      else reject(new Error('the page was not made', { cause: answer.failure }))
    })
  })
}
