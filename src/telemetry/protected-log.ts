import { type DestinationStream, type Logger, pino } from 'pino'
import type { Secret } from '../base/secret.ts'
import { protectedError } from './protected-error.ts'
import { createRedaction } from './redaction.ts'

/**
 * The log of the service, one JSON object a line. What is logged as `err` is shown as
 * {@link protectedError} shows it.
 *
 * @param options.secrets That nobody may read in it, whoever repeats them.
 * @param destination Absent: standard output.
 */
export function createProtectedLog(
  options: { readonly level: string; readonly secrets: readonly Secret<string>[] },
  destination?: DestinationStream,
): Logger {
  const redact = createRedaction(options.secrets)
  const settings = {
    level: options.level,
    serializers: { err: (error: unknown) => protectedError(error, redact) },
  }
  return destination === undefined ? pino(settings) : pino(settings, destination)
}
