import type { ExchangeRecord } from '../../../src/emulator/entra/exchange-log.ts'
import { callersAt, clientIds } from './cast.ts'
import { by, entriesOf, type EntryOf, type Evidence } from './evidence.ts'

/** Entra issued nothing that no grant has, also where nobody received it, and the ledger agrees. */
export function exchangeViolations({ entries, exchanges, places }: Evidence): readonly string[] {
  const grantable = new Set(
    places
      .flatMap(callersAt)
      .flatMap(({ grant }) =>
        (grant?.may ?? []).flatMap((ask) =>
          ask.want === 'token' ? [`${clientIds[ask.application]} ${ask.tenant} ${ask.scope}`] : [],
        ),
      ),
  )
  const outside = exchanges
    .filter(({ outcome }) => outcome.kind === 'issued')
    .map(({ clientId = '', tenant, scope = '' }) => `${clientId} ${tenant} ${scope}`)
    .filter((issued) => !grantable.has(issued))
    .map((issued) => `Entra issued a token that no grant has: ${issued}`)

  const byClientRequestId = by(exchanges, ({ clientRequestId }) => clientRequestId)
  return [
    ...outside,
    ...entriesOf(entries, 'exchange.succeeded').flatMap((entry) =>
      differs(entry, byClientRequestId.get(entry.exchange))
        ? [`exchange ${entry.exchange} is not what Entra says`]
        : [],
    ),
  ]
}

function differs(entry: EntryOf<'exchange.succeeded'>, record: ExchangeRecord | undefined) {
  if (record?.outcome.kind !== 'issued') return true
  const sha256 = Buffer.from(record.outcome.accessTokenSha256, 'hex').toString('base64url')
  return sha256 !== entry.tokenSha256 || record.traceId !== entry.traceId
}
