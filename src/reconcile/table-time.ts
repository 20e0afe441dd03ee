import { isoTimeFrom, parseIsoTime } from '../base/clock.ts'
import type { Members } from '../base/json-object.ts'
import { textIn } from './json-members.ts'

export interface RowTime {
  /** ISO 8601. */
  readonly text: string
  readonly ms: number
}

/**
 * When a row of Log Analytics says it happened. The portal writes `11/22/2026, 4:56:16.871 AM` into a
 * column `TimeGenerated [UTC]`, everything else ISO 8601 into `TimeGenerated`. Undefined where there is
 * neither: a time of the portal in somebody's local zone is no time.
 */
export function timeOfRow(row: Members): RowTime | undefined {
  const text = textIn(row, 'TimeGenerated')
  if (text === undefined) return portalTime(textIn(row, 'TimeGenerated [UTC]') ?? '')
  const ms = parseIsoTime(text)
  return ms === undefined ? undefined : { text, ms }
}

const portalForm =
  /^(\d{1,2})\/(\d{1,2})\/(\d{4}), (\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,3}))?[ \u202f](AM|PM)$/

function portalTime(text: string): RowTime | undefined {
  const [, month, day, year, hour, minute, second, fraction = '', half] =
    portalForm.exec(text) ?? []
  if (month === undefined || day === undefined || year === undefined) return undefined
  const hours = (Number(hour) % 12) + (half === 'PM' ? 12 : 0)
  const two = (part: string | number | undefined) => String(part).padStart(2, '0')
  const iso = `${year}-${two(month)}-${two(day)}T${two(hours)}:${two(minute)}:${two(second)}.${fraction.padEnd(3, '0')}Z`
  const ms = parseIsoTime(iso)
  return ms === undefined ? undefined : { text: isoTimeFrom(ms), ms }
}
