import { gunzipSync } from 'node:zlib'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { AccessTokens } from '../entra/access-tokens.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import type { World } from '../world.ts'
import { type TableRow, tableRowFrom } from './collection-rule.ts'
import { isOneOf, monitorCallerOf } from './monitor-caller.ts'
import {
  callBytesMax,
  errorReply,
  malformed,
  type MonitorError,
  noAccess,
  notFound,
  ruleUnknown,
  streamUnknown,
  tokenInvalid,
  tooLarge,
  tooMany,
  unavailable,
  versionUnknown,
} from './monitor-error.ts'
import type { WorkspaceTables } from './workspace-tables.ts'

/** What a data collection rule has let through. */
export interface Arrival {
  readonly rule: string
  readonly stream: string
  readonly row: TableRow
}

/** The Logs Ingestion API of Azure Monitor, for all rules of the world at one endpoint. */
export interface LogsIngestion {
  readonly service: EmulatedService
  /** In the order of arrival; what arrived twice is there twice, as in Log Analytics. */
  arrivals(): readonly Arrival[]
  /** Arrivals that are no longer kept. */
  forgotten(): number
  /** Principals that have the role *Monitoring Metrics Publisher* on a rule, by name. */
  publishersOf(rule: string): readonly string[] | undefined
  /** Gives the role to these, and takes it from all others. */
  letPublish(rule: string, principals: readonly string[]): void
}

export interface LogsIngestionDeps {
  readonly tables: Pick<WorkspaceTables, 'row'>
  readonly world: World
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly clock: EmulatorClock
  readonly faults: FaultList
}

const audiences = ['https://monitor.azure.com', 'https://monitor.azure.com/'] as const
const apiVersions = ['2021-11-01-preview', '2023-01-01']
const arrivalsMax = 200_000

export function createLogsIngestion(deps: LogsIngestionDeps): LogsIngestion {
  const { world, faults } = deps
  const arrived: Arrival[] = []
  let forgotten = 0
  const publishers = new Map(
    world.collectionRules.map(({ immutableId, publishers: names }) => [immutableId, names]),
  )
  const answer = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    const checked = await rowsOf(request, publishers, deps)
    if ('error' in checked) return errorReply(checked.error)
    arrived.push(...checked.rows)
    for (const { stream, row } of checked.rows) deps.tables.row(tableOf(stream), row)
    forgotten += arrived.splice(0, Math.max(0, arrived.length - arrivalsMax)).length
    return { kind: 'answer', status: 204, headers: {}, body: Buffer.alloc(0) }
  }
  return {
    service: async (request) => {
      const fault = faults.strike('monitor', `${request.method} ${request.path}`)
      return replyInstead(fault, faultWords) ?? replyAfter(fault, faultWords, await answer(request))
    },
    arrivals: () => arrived,
    forgotten: () => forgotten,
    publishersOf: (rule) => publishers.get(rule),
    letPublish: (rule, principals) => {
      publishers.set(rule, [...principals])
    },
  }
}

/** A table of one's own ends so; a stream without a transformation has its name. */
const tableOf = (stream: string): string => `${stream.replace(/^Custom-/, '')}_CL`

const faultWords: FaultWords = {
  throttled: () => errorReply(tooMany, { 'retry-after': '1' }),
  serverError: (status) => errorReply(unavailable(status)),
}

type Checked<Value> = Value | { readonly error: MonitorError }

async function rowsOf(
  request: EmulatedRequest,
  publishers: ReadonlyMap<string, readonly string[]>,
  { world, accessTokens, clock }: LogsIngestionDeps,
): Promise<Checked<{ readonly rows: readonly Arrival[] }>> {
  const caller = await monitorCallerOf(request, accessTokens, audiences)
  if (caller === undefined) return { error: tokenInvalid }
  const [, ruleId = '', streamName = ''] =
    /^\/dataCollectionRules\/([^/]+)\/streams\/([^/]+)$/.exec(request.path) ?? []
  if (ruleId === '' || request.method !== 'POST') return { error: notFound }
  if (!apiVersions.includes(request.query.get('api-version') ?? '')) {
    return { error: versionUnknown }
  }
  const rule = world.collectionRules.find(({ immutableId }) => immutableId === ruleId)
  if (rule === undefined) return { error: ruleUnknown(ruleId) }
  if (!isOneOf(caller, publishers.get(ruleId) ?? [], rule.tenant, world)) {
    return { error: noAccess(ruleId) }
  }
  const read = recordsOf(request)
  if ('error' in read) return read
  const stream = rule.streams.find(({ name }) => name === decodeURIComponent(streamName))
  if (stream === undefined) return { error: streamUnknown(streamName) }
  return {
    rows: read.records.map((record) => ({
      rule: rule.name,
      stream: stream.name,
      row: tableRowFrom(record, stream.columns, clock),
    })),
  }
}

type JsonRecord = Readonly<Record<string, unknown>>

function recordsOf(request: EmulatedRequest): Checked<{ readonly records: readonly JsonRecord[] }> {
  const { headers, body } = request
  if (body.length > callBytesMax) return { error: tooLarge(body.length) }
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) {
    return { error: malformed('The Content-Type must be application/json.') }
  }
  const unpacked = headers['content-encoding'] === 'gzip' ? unzipped(body) : { bytes: body }
  if ('error' in unpacked) return unpacked
  const records = parsedRecords(unpacked.bytes.toString('utf8'))
  return records === undefined
    ? { error: malformed('The body must be a JSON array of objects.') }
    : { records }
}

/** Not further than allowed: what a few bytes unpack to may fill the memory. */
function unzipped(body: Buffer): Checked<{ readonly bytes: Buffer }> {
  try {
    return { bytes: gunzipSync(body, { maxOutputLength: callBytesMax }) }
  } catch (error) {
    const isLarge =
      error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    return { error: isLarge ? tooLarge(callBytesMax + 1) : malformed('The body is not gzip.') }
  }
}

function parsedRecords(text: string): readonly JsonRecord[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every(isRecord) ? value : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
