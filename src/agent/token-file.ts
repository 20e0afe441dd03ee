import { rm } from 'node:fs/promises'
import { type BackgroundTask, startBackgroundTask } from '../base/background-task.ts'
import type { Clock } from '../base/clock.ts'
import type { ClientId, TenantId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import { writePrivateFile } from './private-file.ts'

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

/**
 * Keeps a file fresh until it is stopped, when it is removed. It is always whole, and its owner alone may read
 * it. What cannot be replaced stays, and is tried again within seconds.
 *
 * @throws Error when it cannot be written for the first time.
 */
export async function keepTokenFile(
  file: string,
  { fetch, ageMaxMs }: FileContent,
  clock: Clock,
  onFailure: (error: unknown) => void,
): Promise<BackgroundTask> {
  let writtenAtMs = 0
  const replace = async () => {
    const startedAtMs = clock.monotonicMs()
    await writePrivateFile(file, (await fetch()).reveal())
    writtenAtMs = startedAtMs
  }
  await replace()
  const task = startBackgroundTask(
    lookEveryMs,
    async () => {
      if (clock.monotonicMs() - writtenAtMs >= ageMaxMs) await replace()
    },
    onFailure,
  )
  return {
    stop: async () => {
      await task.stop()
      await rm(file, { force: true })
    },
  }
}

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
