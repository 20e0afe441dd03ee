import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  rememberedAfterSeconds,
  type TokenUse,
  type TokenUses,
} from '../../src/token-use/token-uses.ts'

/** Where the uses of a test are remembered: of four tokens at most. */
export interface UsesPlace {
  readonly nowSeconds: () => number
  open(): Promise<TokenUses>
  remove(): Promise<void>
}

/** Whose uses outlive a process. */
export interface LastingPlace extends UsesPlace {
  /** As one more replica opens it, or the next process after it. */
  openAgain(): Promise<TokenUses>
}

/** Whose clock is the test's. */
export interface ClockedPlace extends UsesPlace {
  pass(seconds: number): void
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

    const use = (tokenId: string, about?: Partial<TokenUse>) => useOf(place, tokenId, about)
    /** So long ago that it need not be remembered any more. */
    const expired = () => place.nowSeconds() - rememberedAfterSeconds - 1
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
  })
}

const taken = { ok: true }
const spent = { ok: false, why: 'spent' }

const useOf = (
  { nowSeconds }: UsesPlace,
  tokenId: string,
  about: Partial<TokenUse> = {},
): TokenUse => ({
  tokenId,
  purpose: 'deploy fabrikam',
  usesMax: 2,
  expiresAtSeconds: nowSeconds() + 300,
  ...about,
})

/** What those promise besides whose uses outlive a process. */
export function describeLastingUses(name: string, createPlace: () => Promise<LastingPlace>): void {
  test(`${name} are not forgotten when another replica, or the next process, is asked`, async () => {
    const place = await createPlace()
    onTestFinished(() => place.remove())
    const uses = await place.open()
    const once = useOf(place, 'once', { usesMax: 1 })
    await uses.take(useOf(place, 'a'))
    await uses.take(once)
    const other = await place.openAgain()
    expect(await other.take(once)).toEqual(spent)
    expect(await other.take(useOf(place, 'a'))).toEqual(taken)
    expect(await other.take(useOf(place, 'a'))).toEqual(spent)
  })
}

/** What can be asked of those whose clock is the test's. */
export function describeClockedUses(
  name: string,
  createPlace: () => ClockedPlace | Promise<ClockedPlace>,
): void {
  test(`${name} have room again as time passes`, async () => {
    const place = await createPlace()
    onTestFinished(() => place.remove())
    const uses = await place.open()
    for (const token of ['a', 'b', 'c', 'd']) await uses.take(useOf(place, token))
    place.pass(299 + rememberedAfterSeconds)
    const fifth = () => uses.take(useOf(place, 'e'))
    expect(await fifth()).toMatchObject({ why: 'full', retryAfterSeconds: 1 })
    place.pass(1)
    expect(await fifth()).toEqual(taken)
  })
}
