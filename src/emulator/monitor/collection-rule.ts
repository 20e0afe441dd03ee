import { type EmulatorClock, msFromIso } from '../emulator-clock.ts'
import type { WorldCollectionRule } from '../world.ts'

export type StreamColumns = WorldCollectionRule['streams'][number]['columns']
type StreamColumnType = StreamColumns[string]

/** A row as the table has it: every declared column, null where nothing that fits arrived. */
export type TableRow = Readonly<Record<string, unknown>>

/** Azure cuts what is longer, without a word. */
const fieldBytesMax = 64 * 1024
const dayMs = 24 * 3600 * 1000
/** `TimeGenerated` outside of this is replaced by the time of arrival. */
const pastMsMax = 2 * dayMs
const futureMsMax = dayMs

/** What a stream without a transformation makes of a record: what is not declared is dropped, and nobody told. */
export function tableRowFrom(
  record: Readonly<Record<string, unknown>>,
  columns: StreamColumns,
  clock: Pick<EmulatorClock, 'nowMs' | 'nowDate'>,
): TableRow {
  const row = Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, valueAs(type, record[name])]),
  )
  return isInTime(row['TimeGenerated'], clock.nowMs())
    ? row
    : { ...row, TimeGenerated: clock.nowDate().toISOString() }
}

function isInTime(generated: unknown, nowMs: number): boolean {
  const ms = typeof generated === 'string' ? msFromIso(generated) : undefined
  return ms !== undefined && nowMs - ms <= pastMsMax && ms - nowMs <= futureMsMax
}

function valueAs(type: StreamColumnType, value: unknown): unknown {
  switch (type) {
    case 'string':
      return typeof value === 'string' ? cut(value) : null
    case 'datetime':
      return typeof value === 'string' && msFromIso(value) !== undefined ? value : null
    case 'long':
    case 'int':
      return Number.isSafeInteger(value) ? value : null
    case 'real':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'dynamic':
      return value ?? null
  }
}

const cut = (text: string) =>
  Buffer.byteLength(text) <= fieldBytesMax
    ? text
    : Buffer.from(text).subarray(0, fieldBytesMax).toString('utf8')
