import { parseIsoTime } from '../base/clock.ts'

/** `2026-11-22T04:56`. */
const minuteLength = 16
const zero = 0x30

/** The same as `parseIsoTime`, for many times of the same minute in a row. */
export class IsoTimes {
  #minute = ''
  #minuteMs = 0

  parse(text: string): number | undefined {
    const within = millisecondsWithin(text)
    if (within === undefined) return parseIsoTime(text)
    if (!text.startsWith(this.#minute) || this.#minute === '') {
      const minute = text.slice(0, minuteLength)
      const ms = parseIsoTime(`${minute}:00Z`)
      // `24:00` is the end of a day, and `24:00:01` no time at all.
      if (ms === undefined || minute.includes('T24')) return parseIsoTime(text)
      this.#minute = minute
      this.#minuteMs = ms
    }
    return this.#minuteMs + within
  }
}

/** Of `…:16.8719275Z`, behind its minute; undefined for any other form. */
function millisecondsWithin(text: string): number | undefined {
  const last = text.length - 1
  if (last < minuteLength + 5 || text[minuteLength] !== ':' || text[last] !== 'Z') return undefined
  if (text[minuteLength + 3] !== '.') return undefined
  const tens = text.charCodeAt(minuteLength + 1) - zero
  const ones = text.charCodeAt(minuteLength + 2) - zero
  if (!(tens >= 0 && tens <= 5 && ones >= 0 && ones <= 9)) return undefined
  let ms = 0
  for (let place = 0; minuteLength + 4 + place < last; place += 1) {
    const digit = text.charCodeAt(minuteLength + 4 + place) - zero
    if (!(digit >= 0 && digit <= 9)) return undefined
    if (place < 3) ms += digit * (place === 0 ? 100 : place === 1 ? 10 : 1)
  }
  return (tens * 10 + ones) * 1000 + ms
}
