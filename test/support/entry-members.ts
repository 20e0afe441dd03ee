import type { Entry } from '../../src/ledger/entry.ts'
import { tokenIssuedEntry } from './entries.ts'

const signatureMade: Entry = {
  kind: 'signature.made',
  atMs: 1,
  signature: 'a',
  vaultRequestId: 'b',
  signatureSha256: 'c',
}

/** Paths into entries, such as `caller.issuer`, as far as programs of others are told of them. */
export const entryMembers = (): readonly string[] => [
  ...pathsIn(tokenIssuedEntry('orders', 'token')),
  ...pathsIn(signatureMade),
]

const pathsIn = (value: object): readonly string[] =>
  Object.entries(value).flatMap(([name, member]: [string, unknown]) =>
    typeof member === 'object' && member !== null
      ? [name, ...pathsIn(member).map((path) => `${name}.${path}`)]
      : [name],
  )
