import type { TokenCredential } from '@azure/core-auth'
import { type HttpClient, isRestError } from '@azure/core-rest-pipeline'
import { stoppable, withDeadline } from '../base/deadline.ts'
import { type AzureFailure, azureFailureFrom } from '../vault-access/azure-failure.ts'
import {
  ExportError,
  type ExportErrorCode,
  type LogDestination,
  nameOfStream,
} from './log-destination.ts'

/** A stream of a data collection rule, behind which a table of Log Analytics is. */
export interface LogStream {
  /** Origin of the rule's endpoint. */
  readonly endpoint: string
  /** `dcr-` and 32 hexadecimal digits. */
  readonly rule: string
  readonly stream: string
  /** What tokens for it are for: `https://monitor.azure.com`. */
  readonly audience: string
}

/**
 * Of 1 MB that a call may have; the SDK begins a second one at 1,000,000 bytes, and one call is one success or
 * failure.
 */
const batchBytesMax = 900_000

/** A megabyte over a slow line, and a token before it. */
const sendTimeoutMs = 30_000

/**
 * The Logs Ingestion API through its SDK, which is loaded here and nowhere else. The SDK repeats nothing: who
 * asks again, and when, is decided where it is known what was sent.
 */
export async function createLogAnalytics(
  place: LogStream,
  access: { readonly credential: TokenCredential; readonly httpClient: HttpClient },
): Promise<LogDestination> {
  const { endpoint, rule, stream, audience } = place
  const { isAggregateLogsUploadError, LogsIngestionClient } =
    await import('@azure/monitor-ingestion')
  const client = new LogsIngestionClient(endpoint, access.credential, {
    audience,
    httpClient: access.httpClient,
    retryOptions: { maxRetries: 0 },
  })
  return {
    name: nameOfStream(place),
    batchBytesMax,
    send: async (rows, stop) => {
      try {
        await withDeadline(sendTimeoutMs, (late) =>
          stoppable(stop, () =>
            client.upload(rule, stream, [...rows], {
              maxConcurrency: 1,
              abortSignal: AbortSignal.any([late, stop]),
            }),
          ),
        )
      } catch (error) {
        // One request was made, so there is one error of many.
        throw exportErrorFrom(isAggregateLogsUploadError(error) ? error.errors[0]?.cause : error)
      }
    },
  }
}

function exportErrorFrom(cause: unknown): ExportError {
  const code = codeFrom(azureFailureFrom(cause))
  return new ExportError(code, { cause, retryAfterMs: retryAfterMs(cause) })
}

function codeFrom(failure: AzureFailure): ExportErrorCode {
  switch (failure.kind) {
    case 'answered':
      return codeOfStatus(failure.status)
    case 'no-connection':
    case 'no-answer':
      return 'EXPORT_UNAVAILABLE'
    case 'timeout':
      return 'EXPORT_TIMEOUT'
    case 'no-credential':
      return 'EXPORT_CREDENTIAL'
    case 'unrecognised':
      return 'EXPORT_UNRECOGNISED'
  }
}

function codeOfStatus(status: number): ExportErrorCode {
  switch (status) {
    case 400:
      return 'EXPORT_REJECTED'
    case 401:
      return 'EXPORT_CREDENTIAL'
    case 403:
      return 'EXPORT_FORBIDDEN'
    case 404:
      return 'EXPORT_RULE_MISSING'
    case 413:
      return 'EXPORT_TOO_LARGE'
    case 429:
      return 'EXPORT_THROTTLED'
    default:
      return status >= 500 ? 'EXPORT_UNAVAILABLE' : 'EXPORT_UNRECOGNISED'
  }
}

/** Seconds (RFC 9110 §10.2.3); a date is as good as nothing. */
function retryAfterMs(error: unknown): number | undefined {
  const header = isRestError(error) ? error.response?.headers.get('retry-after') : undefined
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}
