import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  rememberedAfterSeconds,
  type TokenUse,
  type TokenUses,
} from '../../src/token-use/token-uses.ts'

/** Where the uses of a test are remembered: of four tokens at most. */
export interface UsesPlace {
  readonly nowSeconds: () => number
  /** As one more replica opens it, or the next process after it; undefined: nothing outlives the process. */
  readonly openAgain: (() => Promise<TokenUses>) | undefined
  open(): Promise<TokenUses>
  /** Lets time pass, for memories that have a clock of their own. */
  readonly pass: ((seconds: number) => void) | undefined
  remove(): Promise<void>
}

export const tokensMax = 4

/** What everybody promises who remembers uses. */
export function describeTokenUses(
  name: string,
  createPlace: () => UsesPlace | Promise<UsesPlace>,
): void {
  describe(name, () => {
    let place: UsesPlace
    let uses: TokenUses
    beforeEach(async () => {
      place = await createPlace()
      uses = await place.open()
    })
    afterEach(() => place.remove())

    const use = (tokenId: string, about: Partial<TokenUse> = {}): TokenUse => ({
      tokenId,
      purpose: 'deploy fabrikam',
      usesMax: 2,
      expiresAtSeconds: place.nowSeconds() + 300,
      ...about,
    })
    /** So long ago that it need not be remembered any more. */
    const expired = () => place.nowSeconds() - rememberedAfterSeconds - 1
    const taken = { ok: true }
    const spent = { ok: false, why: 'spent' }

    test('gives a token so many uses as it has, and others theirs', async () => {
      expect(await uses.take(use('a'))).toEqual(taken)
      expect(await uses.take(use('a'))).toEqual(taken)
      expect(await uses.take(use('a'))).toEqual(spent)
      expect(await uses.take(use('b'))).toEqual(taken)
    })

    test('gives a token no use for anything else, and what it has for the first', async () => {
      await uses.take(use('a'))
      const elsewhere = use('a', { purpose: 'deploy northwind' })
      expect(await uses.take(elsewhere)).toEqual({ ok: false, why: 'elsewhere' })
      expect(await uses.take(use('a'))).toEqual(taken)
      expect(await uses.take(elsewhere)).toEqual(spent)
    })

    test('gives the last use once, however many want it at one moment', async () => {
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => uses.take(use('a', { usesMax: 10 }))),
      )
      expect(answers.filter(({ ok }) => ok)).toHaveLength(10)
    })

    test('knows of a denial by itself once it has said so, and of nothing that is still to be had', async () => {
      await uses.take(use('a', { usesMax: 1 }))
      await uses.take(use('a', { usesMax: 1 }))
      expect(uses.knownDenial(use('a', { usesMax: 1 }))).toEqual(spent)
      expect(uses.knownDenial(use('a'))).toBeUndefined()
      expect(uses.knownDenial(use('b'))).toBeUndefined()
    })

    test('takes no token that it has no room for, says when to come again, and serves those it knows', async () => {
      for (const token of ['a', 'b', 'c', 'd']) await uses.take(use(token))
      const answer = await uses.take(use('e'))
      expect(answer).toMatchObject({ ok: false, why: 'full' })
      const { retryAfterSeconds } = answer as { retryAfterSeconds: number }
      expect(retryAfterSeconds).toBeGreaterThan(290 + rememberedAfterSeconds)
      expect(retryAfterSeconds).toBeLessThanOrEqual(300 + rememberedAfterSeconds)
      expect(uses.knownDenial(use('e'))).toBeUndefined()
      expect(await uses.take(use('a'))).toEqual(taken)
      expect(await uses.take(use('a'))).toEqual(spent)
    })

    test('never remembers more than there is room for, however many come at one moment', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => uses.take(use(`token ${i}`))),
      )
      expect(answers.filter(({ ok }) => ok)).toHaveLength(tokensMax)
    })

    test('makes room of tokens that have expired', async () => {
      const dead = expired()
      for (const token of ['a', 'b', 'c']) await uses.take(use(token, { expiresAtSeconds: dead }))
      await uses.take(use('d'))
      expect(await uses.take(use('e'))).toEqual(taken)
      await uses.tidy()
      expect(await uses.take(use('f'))).toEqual(taken)
      expect(await uses.take(use('d'))).toEqual(taken)
      expect(await uses.take(use('d'))).toEqual(spent)
    })

    test('remembers a token past its end, because clocks differ', async () => {
      await uses.take(use('a', { usesMax: 1, expiresAtSeconds: expired() + 30 }))
      await uses.tidy()
      expect(await uses.take(use('a', { usesMax: 1 }))).toEqual(spent)
    })

    test('forgets nothing when another replica, or the next process, is asked', async ({
      skip,
    }) => {
      if (place.openAgain === undefined) return skip('nothing outlives it')
      await uses.take(use('a'))
      await uses.take(use('once', { usesMax: 1 }))
      const other = await place.openAgain()
      expect(await other.take(use('once', { usesMax: 1 }))).toEqual(spent)
      expect(await other.take(use('a'))).toEqual(taken)
      expect(await other.take(use('a'))).toEqual(spent)
    })

    test('has room again as time passes', async ({ skip }) => {
      if (place.pass === undefined) return skip('its clock is not ours')
      for (const token of ['a', 'b', 'c', 'd']) await uses.take(use(token))
      place.pass(299 + rememberedAfterSeconds)
      expect(await uses.take(use('e'))).toMatchObject({ why: 'full', retryAfterSeconds: 1 })
      place.pass(1)
      expect(await uses.take(use('e'))).toEqual(taken)
    })
  })
}
