import { setTimeout as pause } from 'node:timers/promises'
import type { TokenCredential } from '@azure/core-auth'
import type { HttpClient, PipelinePolicy, PipelineResponse } from '@azure/core-rest-pipeline'
import { isoTimeFrom } from '../../base/clock.ts'
import { withDeadline } from '../../base/deadline.ts'
import { parseRetryAfter } from '../../base/whole-answer.ts'
import { TransportError } from '../../vault-access/undici-http-client.ts'
import { azureFailureFrom } from '../../vault-access/azure-failure.ts'
import { LogError, type LogErrorCode } from '../log-error.ts'
import type { TimeWindow } from './time-windows.ts'
import type { WorkspaceTable } from './workspace-query.ts'

/** A table of a workspace, and where it is asked for. */
export interface TablePlace {
  /** GUID of the workspace. */
  readonly workspace: string
  readonly table: WorkspaceTable
  /** Origin of the Logs Query API. */
  readonly endpoint: string
  /** What tokens for it are for: `https://api.loganalytics.io`. */
  readonly audience: string
}

export interface TableClient {
  /** Tells it from others, and holds no secret. */
  readonly name: string
  readonly table: WorkspaceTable
  /**
   * One query, as a whole answer or as none.
   *
   * @param span Rows of other times are not looked at, whatever the query says.
   * @throws LogError
   */
  ask(query: string, span: TimeWindow): Promise<TableAnswer>
}

export type TableAnswer =
  | { readonly kind: 'whole'; readonly rows: readonly TableRow[] }
  /** Azure could not answer all of it at once, and may answer less; what it did answer is of no use. */
  | { readonly kind: 'too-much'; readonly why: 'in-part' | 'too-long' | 'too-slow' }

/** Cells by the names of their columns. */
export type TableRow = Readonly<Record<string, unknown>>

/** Azure's default is three minutes; a window that takes longer than this is better split. */
const serverSecondsMax = 100
/** The server's own time, a large answer over a slow line, and a token before it. */
const answerTimeoutMs = 150_000
/** Azure allows 200 queries in 30 seconds. */
const throttledMax = 3
const throttledPauseMsMax = 30_000

/**
 * The Logs Query API through its SDK, which is loaded here and nowhere else. Whoever is asked too much is asked again
 * here, a few times; nothing else is repeated by anybody.
 *
 * @param access A transport that takes no longer answer than fits the memory, and what ends the pauses between
 * questions: who asked then gets an `AbortError`.
 */
export async function createTableClient(
  place: TablePlace,
  access: {
    readonly credential: TokenCredential
    readonly httpClient: HttpClient
    readonly stop: AbortSignal
  },
): Promise<TableClient> {
  const { LogsQueryClient } = await import('@azure/monitor-query-logs')
  const client = new LogsQueryClient(access.credential, {
    endpoint: `${place.endpoint}/v1`,
    // The SDK's option `audience` does nothing: without this, every cloud is asked with a token of the public one.
    credentials: { scopes: [`${place.audience}/.default`] },
    httpClient: access.httpClient,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: refusals, position: 'perCall' }],
  })
  const askOnce = async (query: string, { fromMs, toMs }: TimeWindow): Promise<TableAnswer> => {
    const result = await withDeadline(answerTimeoutMs, () =>
      client.queryWorkspace(
        place.workspace,
        query,
        // As the API has it: the SDK passes a text on as it is.
        { duration: `${isoTimeFrom(fromMs)}/${isoTimeFrom(toMs)}` },
        // The SDK passes over `abortSignal`.
        { serverTimeoutInSeconds: serverSecondsMax, requestOptions: { timeout: answerTimeoutMs } },
      ),
    )
    return 'partialError' in result
      ? { kind: 'too-much', why: 'in-part' }
      : { kind: 'whole', rows: rowsIn(result.tables) }
  }
  const ask = async (query: string, span: TimeWindow, left: number): Promise<TableAnswer> => {
    try {
      return await askOnce(query, span)
    } catch (cause) {
      if (isTooLong(cause)) return { kind: 'too-much', why: 'too-long' }
      if (cause instanceof QueryRefused && cause.status === 504) {
        return { kind: 'too-much', why: 'too-slow' }
      }
      const pauseMs = cause instanceof QueryRefused ? cause.pauseMs : undefined
      if (pauseMs === undefined || left === 0) throw logErrorFrom(place, cause)
      await pause(pauseMs, undefined, { signal: access.stop })
    }
    return ask(query, span, left - 1)
  }
  return {
    name: nameOf(place),
    table: place.table,
    ask: (query, span) => ask(query, span, throttledMax),
  }
}

const nameOf = ({ workspace, table }: TablePlace): string => `${table} of workspace ${workspace}`

/** What the API answered instead of rows. */
class QueryRefused extends Error {
  override readonly name = 'QueryRefused'
  readonly status: number
  /** Whether the query names something that is not there: `SEM0100`, at whatever depth Azure puts it. */
  readonly isUnresolved: boolean
  /** Before it may be asked again; undefined: not by itself. */
  readonly pauseMs: number | undefined

  constructor({ status, headers, bodyAsText }: PipelineResponse) {
    super(`answered ${status}`)
    this.status = status
    this.isUnresolved = /\bSEM0100\b/.test(bodyAsText ?? '')
    const askedMs = (parseRetryAfter(headers.get('retry-after')) ?? 1) * 1000
    this.pauseMs = status === 429 && askedMs <= throttledPauseMsMax ? askedMs : undefined
  }
}

/** Outside of what authenticates: the SDK stumbles over errors that are not JSON, and their status would be lost. */
const refusals: PipelinePolicy = {
  name: 'refusals',
  sendRequest: async (request, next) => {
    const response = await next(request)
    if (response.status !== 200) throw new QueryRefused(response)
    return response
  },
}

const isTooLong = (cause: unknown): boolean =>
  cause instanceof TransportError &&
  cause.cause instanceof Error &&
  cause.cause.name === 'ResponseExceededMaxSizeError'

interface ResultTable {
  readonly columnDescriptors: readonly { readonly name?: string }[]
  readonly rows: readonly (readonly unknown[])[]
}

/** The first one is the result; others would tell about the query. */
function rowsIn([table]: readonly ResultTable[]): readonly TableRow[] {
  if (table === undefined) return []
  const names = table.columnDescriptors.map(({ name }) => name ?? '')
  return table.rows.map((cells) =>
    Object.fromEntries(names.map((name, index) => [name, cells[index]])),
  )
}

function logErrorFrom(place: TablePlace, cause: unknown): LogError {
  const code = codeOf(cause)
  return new LogError(code, textOf(code, place), { cause })
}

/** What asking may come to. */
type AskErrorCode = Exclude<
  LogErrorCode,
  'LOG_MISSING' | 'LOG_WITHOUT_BLOBS' | 'LOG_UNREADABLE' | 'LOG_TOO_SLOW' | 'LOG_INCOMPLETE'
>

function codeOf(cause: unknown): AskErrorCode {
  if (cause instanceof QueryRefused) return codeOfRefusal(cause)
  switch (azureFailureFrom(cause).kind) {
    case 'no-connection':
    case 'no-answer':
      return 'LOG_UNAVAILABLE'
    case 'timeout':
      return 'LOG_TIMEOUT'
    case 'no-credential':
      return 'LOG_CREDENTIAL'
    case 'answered':
    case 'unrecognised':
      return 'LOG_UNRECOGNISED'
  }
}

function codeOfRefusal({ status, isUnresolved }: QueryRefused): AskErrorCode {
  switch (status) {
    case 400:
      return isUnresolved ? 'LOG_TABLE_MISSING' : 'LOG_QUERY_REFUSED'
    case 401:
      return 'LOG_CREDENTIAL'
    case 403:
      return 'LOG_FORBIDDEN'
    case 404:
      return 'LOG_WORKSPACE_MISSING'
    case 429:
      return 'LOG_THROTTLED'
    default:
      return status >= 500 ? 'LOG_UNAVAILABLE' : 'LOG_UNRECOGNISED'
  }
}

/** When what was asked is too much, however little it was. */
export function incomplete(
  { name }: Pick<TableClient, 'name'>,
  why: Extract<TableAnswer, { kind: 'too-much' }>['why'],
): LogError {
  return why === 'too-slow'
    ? new LogError('LOG_TIMEOUT', `no answer in time from ${name}, however little is asked`)
    : new LogError('LOG_INCOMPLETE', `no whole answer from ${name}, so nothing of it counts`)
}

/** What is wrong comes first, because some places show no more. Of what Azure says nothing is repeated. */
function textOf(code: AskErrorCode, place: TablePlace): string {
  const { workspace, table } = place
  const name = nameOf(place)
  switch (code) {
    case 'LOG_CREDENTIAL':
      return `no token that counts for ${name}`
    case 'LOG_FORBIDDEN':
      return `no right to read ${name}: give the identity the role Log Analytics Reader on the workspace, or on this table`
    case 'LOG_WORKSPACE_MISSING':
      return `there is no workspace ${workspace} in this cloud: name it by its workspace id`
    case 'LOG_TABLE_MISSING':
      return `there is no ${table} in workspace ${workspace}: nothing has come to it so far, or the identity may not see it`
    case 'LOG_THROTTLED':
      return `too many queries of ${name} at a time`
    case 'LOG_TIMEOUT':
      return `no answer in time from ${name}`
    case 'LOG_UNAVAILABLE':
      return `no answer from ${name}`
    case 'LOG_QUERY_REFUSED':
      return `a query is refused by ${name}`
    case 'LOG_UNRECOGNISED':
      return `no answer that is understood from ${name}`
  }
}
