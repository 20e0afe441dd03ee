import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ConfigurationProblem } from '../../../src/base/configuration-problem.ts'
import { readYaml } from '../../../src/yaml/yaml-part.ts'
import { text } from '../../../src/yaml/forms.ts'

const form = z.strictObject({
  name: text('a name'),
  note: text('a note').exactOptional(),
  place: z.strictObject({ street: text('a street') }).exactOptional(),
})

function messagesOf(written: string): readonly string[] {
  const problems: ConfigurationProblem[] = []
  readYaml({ file: 'a.yaml', text: written }, problems, 'thing')?.read(form)
  return problems.map(({ message }) => message)
}

describe('what may be absent', () => {
  test('is not called missing beside something that is', () => {
    expect(messagesOf('{ other: 1 }')).toEqual([
      'This version does not know `other`: remove it.',
      '`name` is missing: it must be a name.',
    ])
  })

  test('is looked at where it is there', () => {
    expect(messagesOf('{ name: x, note: 5 }')).toEqual([
      '`note` must be a note, and not the number 5.',
    ])
    expect(messagesOf('{ name: x, place: {} }')).toEqual([
      '`place.street` is missing: it must be a street.',
    ])
    expect(messagesOf('{ name: x, note: }')).toHaveLength(1)
  })
})
