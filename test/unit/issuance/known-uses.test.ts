import { expect, test } from 'vitest'
import { createKnownUses } from '../../../src/issuance/known-uses.ts'
import type { TokenUse } from '../../../src/ledger/token-use.ts'

const use = (about: Partial<TokenUse> = {}): TokenUse => ({
  tokenId: 'a',
  purpose: 'deploy fabrikam',
  usesMax: 2,
  expiresAtSeconds: 1,
  ...about,
})
const spent = { ok: false, why: 'spent' } as const

test('a token is known to be spent when all its uses were taken here, and not before', () => {
  const known = createKnownUses()
  known.taken(use())
  expect(known.denialOf(use())).toBeUndefined()
  known.taken(use())
  expect(known.denialOf(use())).toEqual(spent)
  expect(known.denialOf(use({ tokenId: 'b' }))).toBeUndefined()
})

test.each(['spent', 'elsewhere'] as const)(
  'that it is %s is known once the ledger has said so, for that use alone, and stays so',
  (why) => {
    const known = createKnownUses()
    known.denied(use(), { ok: false, why })
    known.taken(use())
    expect(known.denialOf(use())).toEqual({ ok: false, why })
    for (const other of [{ tokenId: 'b' }, { purpose: 'deploy northwind' }, { usesMax: 3 }]) {
      expect(known.denialOf(use(other))).toBeUndefined()
    }
  },
)

test('that there is no room is not remembered, because room comes again', () => {
  const known = createKnownUses()
  known.denied(use(), { ok: false, why: 'full', retryAfterSeconds: 60 })
  expect(known.denialOf(use())).toBeUndefined()
})
