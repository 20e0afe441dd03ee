import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Entry } from '../../src/ledger/entry.ts'
import { type AppendCondition, type Ledger, TokenUseDenied } from '../../src/ledger/ledger.ts'
import {
  rememberedAfterSeconds,
  type TokenUse,
  type UseAnswer,
} from '../../src/ledger/token-use.ts'
import { revokedEntry, startedEntry } from '../support/entries.ts'
import { healthyAgain, type LedgerStore } from './ledger.contract.ts'

/** A ledger that remembers the uses of four tokens at most. */
export interface UsesPlace extends Pick<
  LedgerStore,
  'entries' | 'breakWrites' | 'mendWrites' | 'remove'
> {
  readonly nowSeconds: () => number
  open(): Promise<Ledger>
}

/** Whose clock is the test's. */
export interface ClockedPlace extends UsesPlace {
  pass(seconds: number): void
}

export const tokensMax = 4

/** What every ledger promises of the uses of caller tokens that are taken with its entries. */
export function describeTokenUses(
  name: string,
  createPlace: () => UsesPlace | Promise<UsesPlace>,
): void {
  describe(name, () => {
    let place: UsesPlace
    let ledger: Ledger
    beforeEach(async () => {
      place = await createPlace()
      ledger = await place.open()
    })
    afterEach(async () => {
      await ledger.close()
      await place.remove()
    })

    const use = (tokenId: string, about?: Partial<TokenUse>) => useOf(place, tokenId, about)
    const take = (wanted: TokenUse) => takeFrom(ledger, wanted)
    /** So long ago that it need not be remembered any more. */
    const expired = () => place.nowSeconds() - rememberedAfterSeconds - 1

    test('gives a token so many uses as it has, and others theirs', async () => {
      expect(await take(use('a'))).toEqual(taken)
      expect(await take(use('a'))).toEqual(taken)
      expect(await take(use('a'))).toEqual(spent)
      expect(await take(use('b'))).toEqual(taken)
    })

    test('gives a token no use for anything else, and what it has for the first', async () => {
      await take(use('a'))
      const elsewhere = use('a', { purpose: 'deploy northwind' })
      expect(await take(elsewhere)).toEqual({ ok: false, why: 'elsewhere' })
      expect(await take(use('a'))).toEqual(taken)
      expect(await take(elsewhere)).toEqual(spent)
    })

    test('gives the last use once, however many want it at one moment', async () => {
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => take(use('a', { usesMax: 10 }))),
      )
      expect(answers.filter(({ ok }) => ok)).toHaveLength(10)
    })

    test('stores nothing of what gets no use, all of what does, and whatever stands beside it', async () => {
      const once = { decidedUnder: 0, tokenUse: use('a', { usesMax: 1 }) }
      const answers = await Promise.allSettled([
        ledger.append(pair('before')),
        ledger.append(pair('first'), once),
        ledger.append(pair('second'), once),
        ledger.append(pair('between'), { decidedUnder: 0 }),
        ledger.append(pair('third'), once),
        ledger.append(pair('other'), { decidedUnder: 0, tokenUse: use('b') }),
      ])
      const stored = ['before', 'first', 'between', 'other']
      expect(answers.map(({ status }) => status === 'fulfilled')).toEqual([
        true,
        true,
        false,
        true,
        false,
        true,
      ])
      expect(await place.entries()).toEqual(stored.flatMap(pair))
      expect(ledger.healthy()).toBe(true)
    })

    test('takes no use of what is overtaken by a revocation, in the same commit or before', async () => {
      const once = (decidedUnder: number) => ({ decidedUnder, tokenUse: use('a', { usesMax: 1 }) })
      const [, late] = await Promise.allSettled([
        ledger.append([revokedEntry('1', 1)], { decidedUnder: 0 }),
        ledger.append(pair('late'), once(0)),
      ])
      expect(late).toMatchObject({ reason: { code: 'LEDGER_OVERTAKEN' } })
      await expect(ledger.append(pair('later'), once(0))).rejects.toThrow('LEDGER_OVERTAKEN')
      expect(ledger.tokensRemembered()).toBe(0)
      await ledger.append(pair('in time'), once(1))
    })

    test.each<[string, readonly Entry[]]>([
      ['of no entries', []],
      ['of what makes a revocation', [revokedEntry('1', 1)]],
    ])('is not asked for a use %s', async (_, entries) => {
      const condition = { decidedUnder: 0, tokenUse: use('a') }
      await expect(ledger.append(entries, condition)).rejects.toThrow(TypeError)
      expect(ledger.tokensRemembered()).toBe(0)
      expect(await place.entries()).toEqual([])
    })

    test('gives no use twice whose commit has failed', async () => {
      const once: AppendCondition = { decidedUnder: 0, tokenUse: use('a', { usesMax: 1 }) }
      await place.breakWrites()
      await expect(ledger.append(pair('lost'), once)).rejects.toThrow('LEDGER_UNAVAILABLE')
      await place.mendWrites()
      await healthyAgain(ledger)
      await Promise.allSettled(
        ['again', 'and again'].map((text) => ledger.append(pair(text), once)),
      )
      expect((await place.entries()).length).toBeLessThanOrEqual(2)
      expect(ledger.tokensRemembered()).toBe(1)
      expect(await take(use('a', { usesMax: 1 }))).toEqual(spent)
    })

    test('takes no token that it has no room for, says when to come again, and serves those it knows', async () => {
      for (const token of ['a', 'b', 'c', 'd']) await take(use(token))
      const answer = await take(use('e'))
      expect(answer).toMatchObject({ ok: false, why: 'full' })
      const { retryAfterSeconds } = answer as { retryAfterSeconds: number }
      expect(retryAfterSeconds).toBeGreaterThan(290 + rememberedAfterSeconds)
      expect(retryAfterSeconds).toBeLessThanOrEqual(300 + rememberedAfterSeconds)
      expect(await take(use('a'))).toEqual(taken)
      expect(await take(use('a'))).toEqual(spent)
    })

    test('never remembers more than there is room for, however many come at one moment', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => take(use(`token ${i}`))),
      )
      expect(answers.filter(({ ok }) => ok)).toHaveLength(tokensMax)
      expect(ledger.tokensRemembered()).toBe(tokensMax)
    })

    test('makes room of tokens that have expired, and says how many it remembers', async () => {
      const dead = expired()
      await Promise.all(
        ['a', 'b', 'c'].map((token) => take(use(token, { expiresAtSeconds: dead }))),
      )
      expect(ledger.tokensRemembered()).toBe(3)
      await take(use('d'))
      expect(ledger.tokensRemembered()).toBe(1)
      for (const token of ['e', 'f', 'g']) expect(await take(use(token))).toEqual(taken)
      expect(await take(use('h'))).toMatchObject({ why: 'full' })
      expect(await take(use('d'))).toEqual(taken)
      expect(await take(use('d'))).toEqual(spent)
    })

    test('remembers a token past its end, because clocks differ', async () => {
      await take(use('a', { usesMax: 1, expiresAtSeconds: expired() + 30 }))
      expect(await take(use('a', { usesMax: 1 }))).toEqual(spent)
    })

    test('remembers them when it is opened again, and how many they are', async () => {
      await take(use('a'))
      await take(use('once', { usesMax: 1 }))
      await ledger.close()
      ledger = await place.open()
      expect(ledger.tokensRemembered()).toBe(2)
      expect(await take(use('once', { usesMax: 1 }))).toEqual(spent)
      expect(await take(use('a'))).toEqual(taken)
      expect(await take(use('a'))).toEqual(spent)
    })
  })
}

export const taken = { ok: true }
export const spent = { ok: false, why: 'spent' }

const pair = (text: string) => [startedEntry(`${text} 1`), startedEntry(`${text} 2`)]

export const useOf = (
  { nowSeconds }: Pick<UsesPlace, 'nowSeconds'>,
  tokenId: string,
  about: Partial<TokenUse> = {},
): TokenUse => ({
  tokenId,
  purpose: 'deploy fabrikam',
  usesMax: 2,
  expiresAtSeconds: nowSeconds() + 300,
  ...about,
})

/** As whoever acts on it: with an entry. */
export async function takeFrom(ledger: Ledger, tokenUse: TokenUse): Promise<UseAnswer> {
  try {
    await ledger.append([startedEntry(tokenUse.tokenId)], { decidedUnder: 0, tokenUse })
    return { ok: true }
  } catch (error) {
    if (error instanceof TokenUseDenied) return error.denial
    throw error
  }
}

/** What can be asked of those whose clock is the test's. */
export function describeClockedUses(
  name: string,
  createPlace: () => ClockedPlace | Promise<ClockedPlace>,
): void {
  test(`${name} have room again as time passes`, async () => {
    const place = await createPlace()
    const ledger = await place.open()
    onTestFinished(async () => {
      await ledger.close()
      await place.remove()
    })
    for (const token of ['a', 'b', 'c', 'd']) await takeFrom(ledger, useOf(place, token))
    place.pass(299 + rememberedAfterSeconds)
    const fifth = () => takeFrom(ledger, useOf(place, 'e'))
    expect(await fifth()).toMatchObject({ why: 'full', retryAfterSeconds: 1 })
    place.pass(1)
    expect(await fifth()).toEqual(taken)
  })
}
