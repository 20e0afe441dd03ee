import type { Entry } from '../../../src/ledger/entry.ts'
import { callersAt, mayHave } from './cast.ts'
import { entriesOf, type EntryOf, type Evidence } from './evidence.ts'

/** What the service does by itself is nothing that it was not asked for before, and is for nobody. */
export function refreshViolations({ entries, places }: Evidence): readonly string[] {
  const callers = places.flatMap(callersAt)
  const given = new Set<string>()
  const violations: string[] = []
  for (const entry of entries) {
    if (isIssued(entry) && entry.caller.tokenSha256 === undefined) {
      violations.push(`attempt ${entry.attempt} was given something and proved nothing`)
    }
    if (entry.kind === 'token.issued') given.add(whatOf(entry))
    if (entry.kind !== 'request.granted' || entry.caller.issuer !== 'countersign') continue
    const caller = callers.find(({ grant }) => grant?.name === entry.grant)
    const { application, tenant, scope = '' } = entry
    const ask = { want: 'token', application, tenant, scope } as Parameters<typeof mayHave>[1]
    if (caller === undefined || !mayHave(caller, ask)) {
      violations.push(`refresh ${entry.attempt} is of what its grant does not have`)
    }
    if (!given.has(whatOf(entry))) {
      violations.push(`refresh ${entry.attempt} is of what nobody was given`)
    }
  }
  return violations
}

const isIssued = (entry: Entry) =>
  entry.kind === 'token.issued' || entry.kind === 'assertion.issued'

const whatOf = ({
  grant,
  application,
  tenant,
  scope,
}: EntryOf<'token.issued' | 'request.granted'>) => [grant, application, tenant, scope].join(' ')

/** How many refreshes brought a token: for those who want to know whether there were any. */
export function refreshesIn(entries: readonly Entry[]): number {
  const byService = new Set(
    entriesOf(entries, 'request.granted')
      .filter(({ caller }) => caller.issuer === 'countersign')
      .map(({ attempt }) => attempt),
  )
  return entriesOf(entries, 'exchange.succeeded').filter(({ attempt }) => byService.has(attempt))
    .length
}
