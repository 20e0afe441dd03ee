import { expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { createRedaction } from '../../../src/telemetry/redaction.ts'

const redactionOf = (...values: string[]) =>
  createRedaction(values.map((value) => new Secret(value)))

test('takes out each secret, however often it is repeated, and nothing else', () => {
  const redact = redactionOf('first-secret', 'second-secret')
  expect(redact('first-secret, second-secret; first-secret!')).toBe(
    '[redacted], [redacted]; [redacted]!',
  )
  expect(redact('first-secre is none')).toBe('first-secre is none')
})

test('takes it out as a URL or a JSON text has it', () => {
  const secret = 'pass "word" & more'
  const redact = redactionOf(secret)
  expect(redact(`?secret=${encodeURIComponent(secret)}&x=1`)).toBe('?secret=[redacted]&x=1')
  expect(redact(JSON.stringify({ secret }))).toBe('{"secret":"[redacted]"}')
})

test('takes signs in a secret for what they are, not for a pattern', () => {
  const redact = redactionOf('a.b*c$&()[1]')
  expect(redact('a.b*c$&()[1] aXbbc')).toBe('[redacted] aXbbc')
})

test('does not take texts apart for a secret that is no more than a word', () => {
  expect(redactionOf('error', '')('an error')).toBe('an error')
})
