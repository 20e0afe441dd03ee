import { expect, test } from 'vitest'
import { protectedError } from '../../../src/telemetry/protected-error.ts'

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
