import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { type EmulatorClock, msFromIso } from '../emulator-clock.ts'
import type { AccessTokens } from '../entra/access-tokens.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import { jsonReply } from '../json-reply.ts'
import type { Unconfirmed } from '../vault/unconfirmed.ts'
import type { World } from '../world.ts'
import { type KustoQuery, KustoSyntaxError, parseKusto } from './kusto-query.ts'
import { isOneOf, monitorCallerOf } from './monitor-caller.ts'
import {
  bodyUnknown,
  insufficientAccess,
  noAuthentication,
  partialError,
  pathUnknown,
  type QueryError,
  queryErrorReply,
  semanticError,
  syntaxError,
  throttled,
  unavailable,
  workspaceUnknown,
} from './query-error.ts'
import { applied, KustoSemanticError, type Result, someOf } from './run-query.ts'
import { KustoTime, type TableRow, valueIn, type WorkspaceTables } from './workspace-tables.ts'

/** The Logs Query API of Azure Monitor, for all workspaces of the world. */
export interface LogsQuery {
  readonly service: EmulatedService
  /** Principals that may read a workspace, by name. */
  readersOf(workspace: string): readonly string[] | undefined
  /** Gives the role to these, and takes it from all others. */
  letRead(workspace: string, principals: readonly string[]): void
}

/** What an answer may hold at most; past it, some of the rows come with an error beside them. */
export const answerLimitsSchema = z.strictObject({
  rowsMax: z.int().min(1).default(500_000),
  bytesMax: z.int().min(1).default(64_000_000),
})

export type AnswerLimits = z.output<typeof answerLimitsSchema>

export interface LogsQueryDeps {
  readonly world: World
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly tables: Pick<WorkspaceTables, 'table'>
  readonly limits: AnswerLimits
  readonly clock: EmulatorClock
  readonly faults: FaultList
  readonly unconfirmed: Pick<Unconfirmed, 'unresolvedName'>
}

const audiences = ['https://api.loganalytics.io', 'https://api.loganalytics.io/'] as const

export function createLogsQuery(deps: LogsQueryDeps): LogsQuery {
  const { world, faults } = deps
  const readers = new Map(world.workspaces.map((one) => [one.id, one.readers]))
  return {
    service: async (request) => {
      const fault = faults.strike('monitor', `${request.method} ${request.path}`)
      const instead = replyInstead(fault, faultWords)
      if (instead !== undefined) return instead
      const answer = await answerTo(request, readers, deps)
      if ('status' in answer) return queryErrorReply(answer)
      const reply = resultReply(answer, deps.limits, fault?.kind === 'partial')
      return replyAfter(fault, faultWords, reply)
    },
    readersOf: (workspace) => readers.get(workspace),
    letRead: (workspace, principals) => {
      readers.set(workspace, [...principals])
    },
  }
}

const faultWords: FaultWords = {
  throttled: () => queryErrorReply(throttled, { 'retry-after': '1' }),
  serverError: (status) => queryErrorReply(unavailable(status)),
}

async function answerTo(
  request: EmulatedRequest,
  readers: ReadonlyMap<string, readonly string[]>,
  { world, accessTokens, tables, clock, unconfirmed }: LogsQueryDeps,
): Promise<Result | QueryError> {
  const caller = await monitorCallerOf(request, accessTokens, audiences)
  if (caller === undefined) return noAuthentication
  const [, id = ''] = /^\/v1\/workspaces\/([^/]+)\/query$/.exec(request.path) ?? []
  if (id === '' || request.method !== 'POST') return pathUnknown
  const workspace = world.workspaces.find((one) => one.id === id.toLowerCase())
  if (workspace === undefined) return workspaceUnknown
  if (!isOneOf(caller, readers.get(workspace.id) ?? [], workspace.tenant, world)) {
    return insufficientAccess
  }
  const asked = askedIn(request.body, clock.nowMs())
  return 'status' in asked ? asked : resultOf(asked, tables, unconfirmed.unresolvedName)
}

/** The SDK writes `workspaces` only where there are others, which are not known here. */
const bodySchema = z.object({
  query: z.string(),
  timespan: z.string().optional(),
  workspaces: z.array(z.string()).max(0).optional(),
})

interface Asked {
  readonly query: KustoQuery
  readonly span: Span | undefined
}

/** Milliseconds since the Unix epoch, both included. */
interface Span {
  readonly fromMs: number
  readonly toMs: number
}

function askedIn(body: Buffer, nowMs: number): Asked | QueryError {
  const read = bodySchema.safeParse(parsedOr(body))
  if (!read.success) return bodyUnknown(z.prettifyError(read.error))
  const { query, timespan } = read.data
  const span = timespan === undefined ? undefined : spanFrom(timespan, nowMs)
  if (timespan !== undefined && span === undefined) return bodyUnknown('timespan is none')
  try {
    return { query: parseKusto(query), span }
  } catch (error) {
    if (!(error instanceof KustoSyntaxError)) throw error
    return syntaxError(error.message)
  }
}

function parsedOr(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Two times, or a duration up to now, of ISO 8601. */
function spanFrom(text: string, nowMs: number): Span | undefined {
  const [from = '', to] = text.split('/')
  if (to === undefined) {
    const durationMs = durationFrom(text)
    return durationMs === undefined ? undefined : { fromMs: nowMs - durationMs, toMs: nowMs }
  }
  const [fromMs, toMs] = [msFromIso(from), msFromIso(to)]
  return fromMs === undefined || toMs === undefined ? undefined : { fromMs, toMs }
}

function durationFrom(text: string): number | undefined {
  const [, days, hours, minutes] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(text) ?? []
  const all = [days, hours, minutes]
  if (all.every((part) => part === undefined)) return undefined
  return ((Number(days ?? 0) * 24 + Number(hours ?? 0)) * 60 + Number(minutes ?? 0)) * 60_000
}

function resultOf(
  { query, span }: Asked,
  tables: Pick<WorkspaceTables, 'table'>,
  unresolved: Unconfirmed['unresolvedName'],
): Result | QueryError {
  const rows = tables.table(query.table)
  if (rows === undefined) {
    const [first] = query.operators
    const place = first === undefined ? '' : `'${first.kind}' operator: `
    return semanticError(
      `${place}Failed to resolve table or column expression named '${query.table}'`,
      unresolved,
    )
  }
  const inSpan = span === undefined ? rows : rows.filter((row) => isIn(span, row))
  try {
    return query.operators.reduce(
      (result, operator) => applied(operator, result),
      someOf(rows, inSpan),
    )
  } catch (error) {
    if (error instanceof KustoSyntaxError) return syntaxError(error.message)
    if (error instanceof KustoSemanticError) return semanticError(error.message, unresolved)
    throw error
  }
}

function isIn({ fromMs, toMs }: Span, row: TableRow): boolean {
  const time = valueIn(row, 'TimeGenerated')
  return time instanceof KustoTime && time.ms >= fromMs && time.ms <= toMs
}

function resultReply(result: Result, limits: AnswerLimits, isStruck: boolean): EmulatedReply {
  const { columns, rows } = result
  const cells = rows.map(({ values }) => columns.map((name) => cellFrom(values[name])))
  const kept = withinLimits(cells, limits)
  const table = (some: readonly unknown[]) => ({
    name: 'PrimaryResult',
    columns: columns.map((name) => ({
      name,
      type: typeOf(rows.map(({ values }) => values[name])),
    })),
    rows: some,
  })
  const headers = { 'x-ms-request-id': randomUUID() }
  if (isStruck) {
    const tables = [table(cells.slice(0, cells.length / 2))]
    return jsonReply(
      200,
      { tables, error: partialError('A part of the data cannot be read.') },
      headers,
    )
  }
  if (kept === cells.length) return jsonReply(200, { tables: [table(cells)] }, headers)
  const error = partialError(
    `The results of this query exceed the set limit of ${limits.rowsMax} records or ${limits.bytesMax} bytes, so not all records were returned (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003).`,
  )
  return jsonReply(200, { tables: [table(cells.slice(0, kept))], error }, headers)
}

/** How many of them an answer may have. */
function withinLimits(cells: readonly unknown[], { rowsMax, bytesMax }: AnswerLimits): number {
  let bytes = 0
  const cut = cells.findIndex((row, index) => {
    bytes += JSON.stringify(row).length
    return index >= rowsMax || bytes > bytesMax
  })
  return cut === -1 ? cells.length : cut
}

/** `dynamic` comes as the text of its JSON. */
function cellFrom(value: unknown): unknown {
  if (value instanceof KustoTime) return value.text
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : (value ?? null)
}

/** By the first value that there is. */
function typeOf(values: readonly unknown[]): string {
  const value = values.find((one) => one !== null && one !== undefined)
  if (value instanceof KustoTime) return 'datetime'
  if (typeof value === 'number') return 'long'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'object' ? 'dynamic' : 'string'
}
