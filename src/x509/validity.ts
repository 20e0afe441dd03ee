import { isoTimeFrom, parseIsoTime } from '../base/clock.ts'
import { type DerValue, derTags, membersOf } from './der.ts'

/** Milliseconds since the Unix epoch. */
export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/**
 * From when and until when a certificate is valid, read from its own bytes: of a time that it cannot read
 * OpenSSL leaves whatever was in memory. Undefined for any time but those of RFC 5280 §4.1.2.5: in
 * Greenwich, with seconds and without fractions.
 */
export function validityFrom(value: DerValue | undefined): Validity | undefined {
  const [notBefore, notAfter, ...others] = membersOf(value) ?? []
  const [notBeforeMs, notAfterMs] = [timeFrom(notBefore), timeFrom(notAfter)]
  if (notBeforeMs === undefined || notAfterMs === undefined || others.length > 0) return undefined
  return { notBeforeMs, notAfterMs }
}

/** `20260131235959Z`, with two digits of the year before 2050. */
const timeForm = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/

function timeFrom(value: DerValue | undefined): number | undefined {
  const text = value === undefined ? undefined : withCentury(value)
  const [, year, month, day, hour, minute, second] = timeForm.exec(text ?? '') ?? []
  if (second === undefined) return undefined
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const ms = parseIsoTime(iso)
  // A thirtieth of February is another day, and no date.
  return ms !== undefined && isoTimeFrom(ms) === iso ? ms : undefined
}

function withCentury({ tag, content }: DerValue): string | undefined {
  const text = content.toString('latin1')
  if (tag === derTags.generalizedTime) return text
  if (tag !== derTags.utcTime) return undefined
  return `${text < '50' ? '20' : '19'}${text}`
}
