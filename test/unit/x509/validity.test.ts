import { describe, expect, test } from 'vitest'
import { readDer } from '../../../src/x509/der.ts'
import { validityFrom } from '../../../src/x509/validity.ts'

const [utcTime, generalizedTime] = [0x17, 0x18]

const time = (tag: number, text: string) =>
  Buffer.concat([Buffer.of(tag, text.length), Buffer.from(text)])

function validityOf(...times: readonly Buffer[]) {
  const content = Buffer.concat(times)
  return validityFrom(readDer(Buffer.concat([Buffer.of(0x30, content.length), content])))
}

const from = time(utcTime, '260101000000Z')

describe('the validity of a certificate', () => {
  test.each([
    [utcTime, '491231235959Z', '2049-12-31T23:59:59Z'],
    [utcTime, '500101000000Z', '1950-01-01T00:00:00Z'],
    [utcTime, '000229120000Z', '2000-02-29T12:00:00Z'],
    [generalizedTime, '20500101000000Z', '2050-01-01T00:00:00Z'],
    [generalizedTime, '99991231235959Z', '9999-12-31T23:59:59Z'],
  ])('of kind %i that ends %s ends %s', (tag, text, end) => {
    expect(validityOf(from, time(tag, text))).toEqual({
      notBeforeMs: Date.parse('2026-01-01T00:00:00Z'),
      notAfterMs: Date.parse(end),
    })
  })

  test.each([
    ['a year of five digits', generalizedTime, '100000101000000Z'],
    ['no seconds', utcTime, '2601010000Z'],
    ['a fraction', generalizedTime, '20260101000000.5Z'],
    ['a zone', utcTime, '260101000000+0100'],
    ['no zone', utcTime, '260101000000'],
    ['a thirteenth month', utcTime, '261301000000Z'],
    ['a thirtieth of February', utcTime, '260230000000Z'],
    ['an hour more than a day has', utcTime, '260101240000Z'],
    ['a century too many', utcTime, '20260101000000Z'],
    ['none', generalizedTime, '260101000000Z'],
    ['digits of another script', utcTime, '26010100000²Z'],
    ['the tag of a text', 0x0c, '260101000000Z'],
    ['nothing', utcTime, ''],
  ])('that ends with %s is not read', (_, tag, text) => {
    expect(validityOf(from, time(tag, text))).toBeUndefined()
    expect(validityOf(time(tag, text), from)).toBeUndefined()
  })

  test.each([
    ['one time', [from]],
    ['three times', [from, from, from]],
    ['no time', []],
  ])('of %s is not read', (_, times) => {
    expect(validityOf(...times)).toBeUndefined()
  })
})
