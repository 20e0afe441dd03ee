import { canonicalEntry, chainHash, genesisHash } from '../../src/ledger/chain.ts'
import type { Row } from '../../src/ledger/chain.ts'
import type {
  Entry,
  RevocationLifted,
  RevocationMade,
  TokenIssued,
} from '../../src/ledger/entry.ts'

/** The smallest entry there is, told from others by `version`. */
export const startedEntry = (version: string): Entry => ({
  kind: 'service.started',
  atMs: 1_790_000_000_000,
  version,
})

/** The rows that a ledger holds after these entries. */
export function chainedRows(entries: readonly Entry[]): readonly Row[] {
  let previous = genesisHash
  return entries.map((entry, index) => {
    const canonical = Buffer.from(canonicalEntry(entry))
    previous = chainHash(previous, canonical)
    return { sequence: index + 1, hash: previous, canonical }
  })
}

const revocationId = (text: string) => `01990000-0000-7000-8000-${text.padStart(12, '0')}`

const ofAdmin = {
  atMs: 1_790_000_000_000,
  attempt: '01990000-0000-7000-8000-aaaaaaaaaaaa',
  caller: { issuer: 'cluster', subject: 'incident', tokenSha256: 'A' },
  grant: 'incident-response',
}

/** Revokes the grant of that name: what begins the epoch. */
export const revokedEntry = (grant: string, epoch: number): RevocationMade => ({
  kind: 'revocation.made',
  ...ofAdmin,
  revocation: revocationId(grant),
  revoked: { what: 'grant', grant },
  epoch,
})

export const liftedEntry = (grant: string, epoch: number): RevocationLifted => ({
  kind: 'revocation.lifted',
  ...ofAdmin,
  revocation: revocationId(grant),
  epoch,
})

/** By this grant, of an hour. */
export const tokenIssuedEntry = (grant: string, token: string): TokenIssued => ({
  kind: 'token.issued',
  atMs: ofAdmin.atMs,
  attempt: ofAdmin.attempt,
  caller: { issuer: 'cluster', subject: 'api', tokenSha256: 'B' },
  grant,
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  scope: 'https://eventhubs.azure.net/.default',
  obtainedBy: ofAdmin.attempt,
  tokenSha256: token,
  expiresAtSeconds: ofAdmin.atMs / 1000 + 3600,
})
