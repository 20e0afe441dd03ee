import { expect, test } from 'vitest'
import type { DecidedEntry } from '../../../src/ledger/decided-entries.ts'
import { callersIn } from '../../../src/ledger/seen-callers.ts'

const attempt = (subject: string, some: object = {}): DecidedEntry => ({
  kind: 'attempt',
  atMs: 1,
  caller: { issuer: 'cluster', subject },
  ...some,
})

test('each caller is named once, with the grants that named it', async () => {
  const { callers, cut } = await callersIn([
    attempt('api', { grant: 'a' }),
    attempt('web', { dryRun: ['b'] }),
    attempt('api', { grant: 'c' }),
  ])
  expect(callers).toEqual([
    { issuer: 'cluster', subject: 'api', namedBy: new Set(['a', 'c']) },
    { issuer: 'cluster', subject: 'web', namedBy: new Set(['b']) },
  ])
  expect(cut).toBe(false)
})

test('those that are too many are said to be left out, and those that are kept go on', async () => {
  const entries = [attempt('api'), attempt('web'), attempt('api', { grant: 'a' })]
  const { callers, cut } = await callersIn(entries, 1)
  expect(callers).toEqual([{ issuer: 'cluster', subject: 'api', namedBy: new Set(['a']) }])
  expect(cut).toBe(true)
  expect((await callersIn(entries, 2)).cut).toBe(false)
})
