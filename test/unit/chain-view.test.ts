import { describe, expect, it } from 'vitest'
import { chainViewFrom } from '../../src/chain-view.ts'
import type { LedgerVerdict } from '../../src/custody/ledger-verdict.ts'

const head = { sequence: 9, atMs: 1_790_000_000_000 }

const sound: LedgerVerdict = {
  verdict: 'sound',
  undecided: [],
  intactUpTo: { sequence: 12, hash: Buffer.alloc(32) },
  heads: { verified: 2, unknownKey: 0, keys: 'ledger', newest: head },
  anchors: [
    {
      file: 'heads.jsonl',
      kind: 'anchor',
      verified: 2,
      unknownKey: 0,
      unread: 0,
      notCompared: 0,
      beforeCut: 0,
      newest: head,
    },
    {
      file: 'empty.jsonl',
      kind: 'anchor',
      verified: 0,
      unknownKey: 0,
      unread: 0,
      notCompared: 0,
      beforeCut: 0,
    },
  ],
  proofs: { verified: 0, withGiven: 0, withoutCertificate: 0, withoutBegin: 0, open: 0 },
  unsealed: 3,
  provenUpTo: 9,
}

describe('what the page says of the evidence of a ledger', () => {
  it('is the heads that verify, and up to where each keeper has them', () => {
    expect(chainViewFrom(sound)).toEqual({
      heads: { count: 2, last: head, unsealed: 3 },
      keepers: [
        { name: 'heads.jsonl', kind: 'anchor', agrees: true, ...head },
        { name: 'empty.jsonl', kind: 'anchor' },
      ],
      undecided: [],
    })
  })

  it('is nothing of a keeper of which not all could be compared, and why', () => {
    const [anchor] = sound.anchors
    for (const left of ['unknownKey', 'unread', 'notCompared'] as const) {
      const view = chainViewFrom({
        ...sound,
        anchors: anchor === undefined ? [] : [{ ...anchor, [left]: 1 }],
        undecided: ['a head is by a key that is not on record'],
      })
      expect(view.keepers?.[0]).not.toHaveProperty('agrees')
      expect(view.undecided).toHaveLength(1)
    }
  })

  it('is the damage, and that no keeper agrees with it', () => {
    const damaged = chainViewFrom({
      ...sound,
      verdict: 'damaged',
      damage: { kind: 'changed', sequence: 4 },
    })
    expect(damaged.fault).toBe('entry 4 was changed')
    expect(damaged.keepers?.map(({ agrees }) => agrees)).toEqual([false, false])
  })
})
