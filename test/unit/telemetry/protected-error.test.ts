import { expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { protectedError as shownBy } from '../../../src/telemetry/protected-error.ts'
import { createRedaction } from '../../../src/telemetry/redaction.ts'

/** As App Service gives it to the service, and to nobody else. */
const identityHeader = '853B9A84-5BFA-4B22-A3F3-0B9A43D9AD8A'

const redact = createRedaction([new Secret(identityHeader)])
const protectedError = (error: unknown) => shownBy(error, redact)

const jwt = `eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ2YXVsdCJ9.${'s'.repeat(342)}`

test('keeps what an operator knows an error by: name, code, message, stack and causes', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9'), {
    code: 'ECONNREFUSED',
  })
  const shown = protectedError(new TypeError('no connection', { cause }))
  expect(shown).toMatchObject({
    type: 'TypeError',
    message: 'no connection',
    cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:9' },
  })
  expect(shown.stack).toContain('protected-error.test.ts')
})

test('shows no token, whole or cut, and no signature, however deep', () => {
  const deep = new Error(`body {"echo":"Bearer ${jwt}","value":"${'A'.repeat(342)}`)
  const text = JSON.stringify(protectedError(new Error(jwt.slice(0, 40), { cause: deep })))
  expect(text).not.toContain('eyJ')
  expect(text).not.toContain('sssssss')
  expect(text).not.toContain('AAAAAAA')
  expect(text).toContain('[redacted]')
})

test('leaves out what libraries hang on their errors', () => {
  const error = Object.assign(new Error('refused'), {
    request: { headers: 'secret' },
    input: 'secret',
  })
  expect(JSON.stringify(protectedError(error))).not.toContain('secret')
})

test('is bounded in length and depth', () => {
  let error = new Error('x '.repeat(100_000))
  for (let depth = 0; depth < 50; depth += 1) error = new Error('wrapped', { cause: error })
  expect(JSON.stringify(protectedError(error)).length).toBeLessThan(30_000)
})

test.each([
  ['in its message', new Error(`no access for ${identityHeader}`)],
  ['as its code', Object.assign(new Error('refused'), { code: identityHeader })],
  ['as its name', Object.assign(new Error('refused'), { name: identityHeader })],
  ['in its cause', new Error('refused', { cause: new Error(identityHeader) })],
  ['as what was thrown', identityHeader],
  ['in one of several', new AggregateError([new Error(identityHeader)], 'refused')],
  ['where a text is cut', new Error('x '.repeat(1020) + identityHeader)],
])('shows no secret that the process knows, which a peer repeated %s', (_, error) => {
  const text = JSON.stringify(protectedError(error))
  for (let length = identityHeader.length; length >= 8; length -= 1) {
    expect(text).not.toContain(identityHeader.slice(0, length))
  }
})

test('shows of an error that stands for several what each of them says', () => {
  const errors = [
    new Error('connect ECONNREFUSED ::1:9'),
    new Error('connect ECONNREFUSED 127.0.0.1:9'),
  ]
  expect(protectedError(new AggregateError(errors))).toMatchObject({
    type: 'AggregateError',
    errors: errors.map(({ message }) => ({ message })),
  })
})

test('is bounded when errors stand for errors that stand for errors', () => {
  let error: Error = new Error('x '.repeat(100_000))
  for (let depth = 0; depth < 10; depth += 1) {
    error = new AggregateError(Array(20).fill(error), 'many', { cause: error })
  }
  expect(JSON.stringify(protectedError(error)).length).toBeLessThan(200_000)
})
