import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256Base64url } from '../../src/base/sha256.ts'
import type {
  GenerationsKept,
  PolicyGeneration,
  PolicyGenerations,
} from '../../src/reload/policy-generations.ts'

/** Where the generations of a test are: outlive every opening, and are shared by all. */
export interface GenerationsPlace {
  /** As one more replica opens it; it hears hints by the time that it resolves. */
  open(): Promise<PolicyGenerations>
  remove(): Promise<void>
}

const kept: GenerationsKept = { texts: 3, hashes: 5 }

const generationOf = (generation: number, files = `files of ${generation}`): PolicyGeneration => ({
  generation,
  sha256: sha256Base64url(files),
  files,
})

const nameOf = ({ generation, sha256 }: PolicyGeneration) => ({ generation, sha256 })

/** What every store of generations promises, whatever it keeps them in. */
export function describePolicyGenerations(
  name: string,
  createPlace: (kept: GenerationsKept) => GenerationsPlace | Promise<GenerationsPlace>,
): void {
  describe(name, () => {
    let place: GenerationsPlace
    let store: PolicyGenerations
    let other: PolicyGenerations

    beforeEach(async () => {
      place = await createPlace(kept)
      store = await place.open()
      other = await place.open()
    })
    afterEach(() => place.remove())

    const publishUpTo = async (last: number) => {
      for (let generation = 1; generation <= last; generation += 1) {
        expect(await store.publish(generationOf(generation))).toBe(true)
      }
    }

    test('has nothing before anything is published', async () => {
      expect(await store.find('any')).toEqual({ newest: undefined, same: [] })
      expect(await store.read(1)).toBeUndefined()
    })

    test('gives every replica what was published, exactly', async () => {
      // What something in between may take for an end, an escape, or no text at all.
      const files = JSON.stringify([
        ['grün.yaml', 'a\u0000b\\u0000 \'"\r\n\t\u2028 😀'],
        ['b', null],
      ])
      const first = generationOf(1, files)
      expect(await store.publish(first)).toBe(true)
      for (const one of [store, other, await place.open()]) {
        expect(await one.read(1)).toEqual(first)
        expect(await one.find(first.sha256)).toEqual({ newest: nameOf(first), same: [1] })
        expect(await one.read(2)).toBeUndefined()
      }
    })

    test('finds each generation of a hash, the oldest first, beside the newest of all', async () => {
      for (const [i, files] of ['a', 'b', 'a', 'c'].entries()) {
        await store.publish(generationOf(i + 1, files))
      }
      const newest = nameOf(generationOf(4, 'c'))
      expect(await other.find(sha256Base64url('a'))).toEqual({ newest, same: [1, 3] })
      expect(await other.find(sha256Base64url('c'))).toEqual({ newest, same: [4] })
      expect(await other.find(sha256Base64url('d'))).toEqual({ newest, same: [] })
    })

    test.each([1, 2, 4, 5])('does not add generation %i when 2 is the newest', async (late) => {
      await publishUpTo(2)
      expect(await other.publish(generationOf(late, 'late'))).toBe(false)
      expect(await store.read(late)).toEqual(late > 2 ? undefined : generationOf(late))
      expect((await store.find('any')).newest).toEqual(nameOf(generationOf(2)))
    })

    test('adds one of many that are published at once', async () => {
      const stores = [store, other, await place.open()]
      const attempts = Array.from({ length: 30 }, (_, i) => generationOf(1, `attempt ${i}`))
      const added = await Promise.all(
        attempts.map((next, i) => (stores[i % stores.length] ?? store).publish(next)),
      )
      expect(added.filter(Boolean)).toHaveLength(1)
      expect(await store.read(1)).toEqual(attempts[added.indexOf(true)])
    })

    test('keeps the texts of the newest few, and the hashes of some more', async () => {
      await publishUpTo(7)
      const isThere = async (generation: number) =>
        (await other.find(generationOf(generation).sha256)).same.length > 0
      const generations = [1, 2, 3, 4, 5, 6, 7]
      expect(await Promise.all(generations.map(isThere))).toEqual([
        ...[false, false, true, true, true, true, true],
      ])
      const texts = await Promise.all(generations.map((generation) => other.read(generation)))
      expect(texts.map((row) => row?.generation)).toEqual([
        ...[undefined, undefined, undefined, undefined, 5, 6, 7],
      ])
    })

    test('removes nothing when it adds nothing', async () => {
      await publishUpTo(3)
      expect(await store.publish(generationOf(9))).toBe(false)
      expect(await other.read(1)).toEqual(generationOf(1))
    })

    test('lets others know, until they do not want to any more', async () => {
      let heard = 0
      const unwatch = other.watch(() => {
        heard += 1
      })
      await store.publish(generationOf(1))
      await expect.poll(() => heard).toBe(1)
      unwatch()
      let later = 0
      other.watch(() => {
        later += 1
      })
      await store.publish(generationOf(2))
      await expect.poll(() => later).toBe(1)
      expect(heard).toBe(1)
    })

    test('tells nobody of what was not added', async () => {
      let heard = 0
      other.watch(() => {
        heard += 1
      })
      await store.publish(generationOf(7))
      await store.publish(generationOf(1))
      await expect.poll(() => heard).toBe(1)
    })
  })
}
