import type { Client } from 'pg'
import { canonicalEntry } from './chain.ts'
import type { RevocationMade } from './entry.ts'
import {
  parseRevocationMade,
  type RevocationChange,
  type StandingRevocations,
} from './standing-revocations.ts'

// All within a transaction that `beginAtTip` has begun: nobody else changes what stands meanwhile.

/** What stands in this epoch, which is that of the tip. */
export async function standingAt(epoch: number, client: Client): Promise<StandingRevocations> {
  const { rows } = await client.query<{ made: string }>(
    'SELECT made FROM revocation ORDER BY epoch',
  )
  return { epoch, made: rows.map(({ made }) => parseRevocationMade(made)) }
}

/** The changes of entries that are stored in the same transaction. */
export async function changeStanding(
  changes: readonly RevocationChange[],
  client: Client,
): Promise<void> {
  for (const change of changes) {
    await client.query('UPDATE tip SET revocation_epoch = revocation_epoch + 1')
    if (change.kind === 'revocation.made') await insert(change, client)
    else await client.query('DELETE FROM revocation WHERE id = $1', [change.revocation])
  }
}

/** What stood in another store, into one where nothing does. */
export async function putStanding(
  { epoch, made }: StandingRevocations,
  client: Client,
): Promise<void> {
  for (const one of made) await insert(one, client)
  await client.query('UPDATE tip SET revocation_epoch = $1', [epoch])
}

async function insert(made: RevocationMade, client: Client): Promise<void> {
  await client.query('INSERT INTO revocation (id, epoch, made) VALUES ($1, $2, $3)', [
    made.revocation,
    made.epoch,
    canonicalEntry(made),
  ])
}
