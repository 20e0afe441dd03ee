import { logFolder } from '../../src/reconcile/log-folder.ts'
import {
  directoryLogForm,
  type LogForm,
  signInLogForm,
  vaultLogForm,
} from '../../src/reconcile/read-log.ts'

// Every record below the paths, as `reconcile` reads them from its first one.

export const readVaultLog = (paths: readonly string[]) => readBelow(paths, vaultLogForm)

export const readSignInLog = (paths: readonly string[]) => readBelow(paths, signInLogForm)

export const readDirectoryLog = (paths: readonly string[]) => readBelow(paths, directoryLogForm)

async function* readBelow<LogRecord extends { readonly kind: string; readonly timeMs: number }>(
  paths: readonly string[],
  form: LogForm<LogRecord>,
) {
  for (const path of paths) yield* logFolder(path, form).records(-Infinity)
}
