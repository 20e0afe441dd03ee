import { rm } from 'node:fs/promises'
import { startBackgroundTask } from '../base/background-task.ts'
import type { Clock } from '../base/clock.ts'
import type { ClientId, TenantId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import { isTakenBack, ServiceError } from './countersign-service.ts'
import { removeDrafts, writePrivateFile } from './private-file.ts'

/** What is in the file. */
export interface FileContent {
  readonly fetch: () => Promise<Secret<string>>
  /** When it is fetched again. */
  readonly ageMaxMs: number
}

/** Ours: a platform replaces its own tokens well before they end, and CI platforms' live for five minutes. */
export const ownTokenAgeMaxMs = 60_000

/**
 * Clients keep what they have read for five minutes: an assertion that they read at the age of two must then
 * have some of its ten left.
 */
export const assertionAgeMaxMs = 110_000
export const assertionLifetimeSeconds = 600

const lookEveryMs = 2_000

/** Ours: a platform that starts the workload first has its token, or the service, there by then. */
const fillWithinMs = 60_000

export interface TokenFile {
  /** Resolves when the file is there for the first time; rejects when it is not to be waited for any longer. */
  readonly filled: Promise<void>
  /** Removes it. What is under way then is not written any more. */
  stop(): Promise<void>
}

export interface TokenFileEvents {
  /** It is not there yet, and is tried again. */
  readonly onAwaited: (error: unknown) => void
  /** What is there stays, unless the service has taken back what allowed it. */
  readonly onRefreshFailed: (error: unknown) => void
}

/**
 * Keeps a file fresh until it is stopped. It is always whole, and its owner alone may read it. What cannot be
 * replaced stays, and is tried again within seconds; what the service does not allow any more goes.
 */
export function keepTokenFile(
  file: string,
  { fetch, ageMaxMs }: FileContent,
  clock: Clock,
  { onAwaited, onRefreshFailed }: TokenFileEvents,
): TokenFile {
  const startedAtMs = clock.monotonicMs()
  const filled = Promise.withResolvers<undefined>()
  // Who does not wait for it need not hear of it.
  filled.promise.catch(() => undefined)
  let writtenAtMs: number | undefined
  let writing = Promise.resolve()
  let isFilled = false
  let isStopped = false

  const replace = async () => {
    const askedAtMs = clock.monotonicMs()
    const text = (await fetch()).reveal()
    if (isStopped) return
    writing = writePrivateFile(file, text)
    await writing
    writtenAtMs = askedAtMs
    isFilled = true
    filled.resolve(undefined)
  }

  const failed = async (error: unknown) => {
    if (isStopped) return
    if (isFilled) {
      onRefreshFailed(error)
      if (!isTakenBack(error)) return
      writtenAtMs = undefined
      await rm(file, { force: true })
      return
    }
    const isLate = clock.monotonicMs() - startedAtMs >= fillWithinMs
    if (isLate || !passesByItself(error)) filled.reject(error)
    else onAwaited(error)
  }

  const look = async () => {
    if (writtenAtMs !== undefined && clock.monotonicMs() - writtenAtMs < ageMaxMs) return
    await replace().catch(failed)
  }

  const first = removeDrafts(file).then(look)
  const task = startBackgroundTask(
    lookEveryMs,
    async () => {
      await first
      await look()
    },
    onRefreshFailed,
  )
  first.catch((error: unknown) => {
    filled.reject(error)
  })
  return {
    filled: filled.promise,
    stop: async () => {
      isStopped = true
      filled.reject(new Error('the agent has ended'))
      // Its end would be that of a request to the service, or to the platform.
      void task.stop()
      await writing.catch(() => undefined)
      await rm(file, { force: true })
    },
  }
}

/** Whether the same file and the same grants may have it later: the service or the platform is not there yet. */
function passesByItself(error: unknown): boolean {
  if (error instanceof ServiceError) {
    return error.code !== 'SERVICE_REFUSED' && error.code !== 'SERVICE_ENTRA_REFUSED'
  }
  return !isOfFileSystem(error)
}

const isOfFileSystem = (error: unknown) => error instanceof Error && 'syscall' in error

/**
 * What programs must find in their environment.
 *
 * @param authority Whom they show it to; absent: Entra.
 */
export const tokenFileVariables = (
  file: string,
  { tenant, clientId }: { readonly tenant: TenantId; readonly clientId: ClientId },
  authority: string | undefined,
) => ({
  AZURE_FEDERATED_TOKEN_FILE: file,
  AZURE_TENANT_ID: tenant,
  AZURE_CLIENT_ID: clientId,
  ...(authority === undefined ? {} : { AZURE_AUTHORITY_HOST: authority }),
})
