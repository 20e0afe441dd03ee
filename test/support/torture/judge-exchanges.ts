import type { ExchangeRecord } from '../../../src/emulator/entra/exchange-log.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
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
    ...unlinked(entries),
  ]
}

/** One signature may serve many exchanges: each after it was written, and after its own attempt began. */
function unlinked(entries: readonly Entry[]): readonly string[] {
  const begun = new Map<string, EntryOf<'signature.begun'>>()
  const made = new Set<string>()
  const granted = new Set<string>()
  return entries.flatMap((entry) => {
    if (entry.kind === 'request.granted') granted.add(entry.attempt)
    if (entry.kind === 'signature.begun') begun.set(entry.signature, entry)
    if (entry.kind === 'signature.made') {
      if (made.has(entry.signature)) return [`signature ${entry.signature} was made twice`]
      made.add(entry.signature)
    }
    if (entry.kind !== 'exchange.succeeded' && entry.kind !== 'exchange.failed') return []
    const { exchange, signature, attempt, application, tenant } = entry
    const beginning = begun.get(signature)
    const rules: readonly (readonly [holds: boolean, otherwise: string])[] = [
      [made.has(signature), 'used a signature before it was written'],
      [beginning?.purpose === 'exchange', 'used a signature that was not for exchanging'],
      [
        beginning?.application === application && beginning.tenant === tenant,
        'used a signature of another application or tenant',
      ],
      [granted.has(attempt), 'is of an attempt that never began'],
    ]
    return rules.flatMap(([holds, otherwise]) =>
      holds ? [] : [`exchange ${exchange} ${otherwise}`],
    )
  })
}

function differs(entry: EntryOf<'exchange.succeeded'>, record: ExchangeRecord | undefined) {
  if (record?.outcome.kind !== 'issued') return true
  const sha256 = Buffer.from(record.outcome.accessTokenSha256, 'hex').toString('base64url')
  return sha256 !== entry.tokenSha256 || record.traceId !== entry.traceId
}
