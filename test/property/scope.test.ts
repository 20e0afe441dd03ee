import { fc } from '../support/drawn-cases.ts'
import { expect, test } from 'vitest'
import { parseScope } from '../../src/base/ids.ts'

/** Near what is told without a parser: of each letter, one that it knows and one that it does not. */
const nearlyPlain = fc
  .array(fc.constantFrom('https', 'api', '://', 'a', 'xn--', '.', '-', '0', '7', ':', '[', '@'), {
    maxLength: 8,
  })
  .map((parts) => `https://${parts.join('')}`)
const scheme = fc.constantFrom('https://', 'api://', 'http://', 'urn:', '')
const resource = fc.oneof(
  nearlyPlain,
  fc.tuple(scheme, fc.string({ maxLength: 20 })).map((parts) => parts.join('')),
  fc.tuple(scheme, fc.domain()).map((parts) => parts.join('')),
)

const visible = /^[!-~]{1,512}$/

test('a scope is a URL that the platform can parse, whatever it looks like, and `/.default`', () => {
  fc.assert(
    fc.property(resource, (text) => {
      fc.pre(visible.test(text) && !text.endsWith('/') && !text.includes('/.default'))
      const isGuid = /^[0-9a-f-]{36}$/i.test(text)
      fc.pre(!isGuid)
      expect(parseScope(`${text}/.default`)).toBe(
        URL.canParse(text) ? `${text}/.default` : undefined,
      )
    }),
    { numRuns: 20_000 },
  )
})
