import { parseGrantName } from '../../../src/base/ids.ts'
import type { HeldToken } from '../../../src/token-cache/token-cache.ts'
import { type TokenKey, tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { tokenKey } from '../cached-tokens.ts'
import { required } from '../required.ts'
import type { Alteration } from './wired-store.ts'

export const isolated = required(parseGrantName('isolated'))

/** Each differs from the first in one thing. */
export const keys: readonly TokenKey[] = [
  tokenKey(),
  tokenKey({ cloud: 'https://login.example' }),
  tokenKey({ application: 'deploy' }),
  tokenKey({ clientId: '22222222-0000-4000-8000-000000000002' }),
  tokenKey({ tenant: 2 }),
  tokenKey({ resource: 'https://alerts.example' }),
  tokenKey({ life: 'long-lived' }),
  tokenKey({ isolation: isolated }),
]

/** What is dropped: by a revocation, or because a configuration does not have it any more. */
export const droppable = ['application', 'tenant', 'grant', 'key version', 'key', 'all'] as const

/** What somebody makes of a row in the database. */
export const alterations = ['a bit', 'all', 'the end', 'the key version', 'another row'] as const

/** Replicas and keys by their number. */
export type Happening =
  | AskHappens
  | RefreshHappens
  /** What is under way goes on, each time the n-th of it. */
  | { readonly what: 'goes on'; readonly which: readonly number[] }
  | { readonly what: 'fails'; readonly which: number; readonly isTold: boolean }
  | DropHappens
  /** The application has its next certificate here, and what the one before obtained is dropped. */
  | { readonly what: 'next certificate'; readonly replica: number; readonly key: number }
  | { readonly what: 'look'; readonly replica: number }
  | { readonly what: 'time passes'; readonly seconds: number }
  | { readonly what: 'somebody sets the clock'; readonly seconds: number }
  | AlterationHappens

export interface AskHappens {
  readonly what: 'ask'
  readonly replica: number
  readonly key: number
  readonly lifetimeSeconds: number
  /** Whether the replica has something to sign with. */
  readonly signs: boolean
  /** How long ago a token must have been obtained at most; absent: any will do that lasts. */
  readonly agoSeconds?: number | undefined
}

export interface RefreshHappens {
  readonly what: 'refresh'
  readonly replica: number
  readonly key: number
  readonly lifetimeSeconds: number
}

export interface DropHappens {
  readonly what: 'drop'
  readonly replica: number
  readonly by: (typeof droppable)[number]
  readonly key: number
}

export interface AlterationHappens {
  readonly what: 'somebody alters a row'
  readonly key: number
  readonly how: (typeof alterations)[number]
  readonly nth: number
}

export const keyAt = (number: number): TokenKey => required(keys[number % keys.length])

/** @param keyId What the replica signs with for the application of the key. */
export function matcherOf(
  by: DropHappens['by'],
  key: TokenKey,
  keyId: string,
): (held: HeldToken) => boolean {
  switch (by) {
    case 'application':
      return (held) => held.key.application === key.application
    case 'tenant':
      return (held) => held.key.tenant === key.tenant
    case 'grant':
      return (held) => held.grant === isolated
    case 'key version':
      return (held) => held.keyId === keyId
    case 'key':
      return (held) => JSON.stringify(held.key) === JSON.stringify(key)
    case 'all':
      return () => true
  }
}

export function alterationOf({ how, key, nth }: AlterationHappens): Alteration {
  switch (how) {
    case 'a bit':
      return (row) => Promise.resolve({ ...row, sealed: withoutABit(row.sealed, nth) })
    case 'all':
      return (row) => Promise.resolve({ ...row, sealed: Buffer.from('planted') })
    case 'the end':
      return (row) => Promise.resolve({ ...row, expiresAtSeconds: row.expiresAtSeconds + 1 + nth })
    case 'the key version':
      return (row) => Promise.resolve({ ...row, keyId: `${row.keyId}0` })
    case 'another row':
      return (_row, rowOf) => rowOf(tokenKeyText(keyAt(key + 1 + (nth % (keys.length - 1)))))
  }
}

function withoutABit(sealed: Buffer, nth: number): Buffer {
  const changed = Buffer.from(sealed)
  const at = nth % changed.length
  changed.writeUInt8(changed.readUInt8(at) ^ (1 << (nth & 7)), at)
  return changed
}
