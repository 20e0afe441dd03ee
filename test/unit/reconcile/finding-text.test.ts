import { expect, it } from 'vitest'
import { reconcileCommand } from '../../../src/cli/reconcile.ts'
import { nextSteps } from '../../../src/reconcile/finding-text.ts'

const options = reconcileCommand().options.flatMap(({ long }) => long ?? [])
const texts = Object.values(nextSteps)

it('tells people what to do in options that there are, and in no settings', () => {
  const named = texts.flatMap((text) => text.match(/--[a-z-]+/g) ?? [])
  expect(named).toEqual(expect.arrayContaining(['--principal', '--address']))
  expect(options).toEqual(expect.arrayContaining(named))
  expect(texts.filter((text) => /[a-z]\.[a-z]/i.test(text))).toEqual([])
})
