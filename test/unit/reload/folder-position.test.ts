import { describe, expect, test } from 'vitest'
import { type FolderSeen, stepOf } from '../../../src/reload/folder-position.ts'
import type { GenerationsFound } from '../../../src/reload/policy-generations.ts'

/** The hashes of generations, from the first. */
const found = (generations: string, sha256: string): GenerationsFound => {
  const all = generations.split('').map((hash, i) => ({ generation: i + 1, sha256: hash }))
  const same = all.filter((one) => one.sha256 === sha256)
  return { newest: all.at(-1), same: same.map(({ generation }) => generation) }
}

const folder = (sha256: string, changes: Partial<FolderSeen> = {}): FolderSeen => ({
  sha256,
  isEmpty: false,
  isSettled: false,
  ...changes,
})

const at = (generation: number, sha256: string) => ({ generation, sha256 })

describe('at the start', () => {
  const step = (generations: string, seen: FolderSeen) =>
    stepOf(undefined, seen, found(generations, seen.sha256))

  test('the first folder of all is published, an empty one too', () => {
    expect(step('', folder('a'))).toEqual({ kind: 'publish', generation: 1 })
    expect(step('', folder('a', { isEmpty: true }))).toEqual({ kind: 'publish', generation: 1 })
  })

  test('a folder that nobody knows is published behind the newest', () => {
    expect(step('ab', folder('c'))).toEqual({ kind: 'publish', generation: 3 })
  })

  test('an empty one takes nothing away from the others', () => {
    const isEmpty = { isEmpty: true }
    expect(step('ab', folder('c', isEmpty))).toEqual({ kind: 'stay' })
    expect(step('abc', folder('c', isEmpty))).toEqual({ kind: 'move', position: at(3, 'c') })
  })

  test('one that was in force corresponds to the last time that it was, and is not brought back', () => {
    expect(step('abac', folder('a'))).toEqual({ kind: 'move', position: at(3, 'a') })
    expect(step('abac', folder('a', { isSettled: true }))).toEqual({
      kind: 'move',
      position: at(3, 'a'),
    })
  })
})

describe('while it runs', () => {
  const step = (generations: string, position: ReturnType<typeof at>, seen: FolderSeen) =>
    stepOf(position, seen, found(generations, seen.sha256))

  test('a folder that is as it was says nothing, whatever others have published since', () => {
    expect(step('a', at(1, 'a'), folder('a'))).toEqual({ kind: 'stay' })
    expect(step('ab', at(1, 'a'), folder('a', { isSettled: true }))).toEqual({ kind: 'stay' })
  })

  test('one that changes at the newest generation is published, also back to what was before', () => {
    expect(step('ab', at(2, 'b'), folder('c'))).toEqual({ kind: 'publish', generation: 3 })
    expect(step('ab', at(2, 'b'), folder('a'))).toEqual({ kind: 'publish', generation: 3 })
    expect(step('ab', at(2, 'b'), folder('c', { isEmpty: true }))).toEqual({
      kind: 'publish',
      generation: 3,
    })
  })

  test('one that follows another replica corresponds to the first generation behind it', () => {
    expect(step('abcb', at(1, 'a'), folder('b'))).toEqual({ kind: 'move', position: at(2, 'b') })
    expect(step('abcb', at(2, 'b'), folder('c'))).toEqual({ kind: 'move', position: at(3, 'c') })
  })

  test('what nobody knows, seen by one that lags, is published only when it has settled', () => {
    expect(step('ab', at(1, 'a'), folder('c'))).toEqual({ kind: 'wait' })
    expect(step('ab', at(1, 'a'), folder('c', { isSettled: true }))).toEqual({
      kind: 'publish',
      generation: 3,
    })
  })

  test('one that is as the newest again counts as that when it has settled', () => {
    expect(step('aba', at(1, 'a'), folder('a'))).toEqual({ kind: 'stay' })
    expect(step('aba', at(1, 'a'), folder('a', { isSettled: true }))).toEqual({
      kind: 'move',
      position: at(3, 'a'),
    })
  })
})
