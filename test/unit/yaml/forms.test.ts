import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { claimForm, nameOf, tenantIdForm } from '../../../src/yaml/forms.ts'
import { parseApplicationName } from '../../../src/base/ids.ts'

/** What an editor goes by. */
const patternOf = (form: z.ZodType) => {
  const { pattern } = z.toJSONSchema(form, { io: 'input' })
  return new RegExp(pattern ?? '$^', 'u')
}

const nearNames = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', '-', '_', 'é', ' ', '\n'),
  maxLength: 70,
})
const nearGuids = fc
  .tuple(fc.uuid(), fc.nat(40), fc.constantFrom('', 'g', '-', 'A', '\n'))
  .map(([guid, at, put]) => `${guid.slice(0, at)}${put}${guid.slice(at + put.length)}`)

describe('patterns for editors', () => {
  test('accept the names that the parser accepts, and no others', () => {
    const form = nameOf('an application', parseApplicationName)
    const pattern = patternOf(form)
    fc.assert(
      fc.property(nearNames, (name) => {
        expect(pattern.test(name)).toBe(form.safeParse(name).success)
      }),
    )
  })

  test('accept the GUIDs that the parser accepts, and no others', () => {
    const pattern = patternOf(tenantIdForm)
    fc.assert(
      fc.property(nearGuids, (guid) => {
        expect(pattern.test(guid)).toBe(tenantIdForm.safeParse(guid).success)
      }),
    )
  })
})

describe('a claim in a file', () => {
  test('is a value, or a list of values', () => {
    expect(claimForm.parse('a')).toEqual(['a'])
    expect(claimForm.parse([1, true, 'a'])).toEqual([1, true, 'a'])
  })

  test.for([
    [[]],
    [[['a']]],
    [{ like: 'a*' }],
    [null],
    [0.5],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [2 ** 53],
    [undefined],
  ])('is not %j', ([value]) => {
    expect(claimForm.safeParse(value).success).toBe(false)
  })
})
