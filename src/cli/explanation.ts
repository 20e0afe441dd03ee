import { type ClaimRule, isPattern } from '../base/claim-rules.ts'
import { printable } from '../base/printable.ts'
import type { CallerFacts } from '../policy/decision.ts'
import type { ClaimFound, ExplainedAsk, GrantFinding } from '../policy/explain.ts'

/** Enough to see what was nearly given; the others miss by more. */
const refusedShownMax = 5

/** What {@link GrantFinding}s come to, for people. @param findings The nearest first. */
export function explanationLines(
  { issuer }: CallerFacts,
  ask: ExplainedAsk,
  findings: readonly GrantFinding[],
): { readonly lines: readonly string[]; readonly granted: boolean } {
  const [giving, missing] = partition(findings, ({ finding }) => finding.kind === 'gives')
  if (giving.length > 0) {
    const names = giving.map(({ grant }) => grant).join(', ')
    const which = giving.length === 1 ? 'grant' : 'the first of these grants with budget left'
    return { lines: [`GRANTED: by ${which}: ${names}`], granted: true }
  }
  if (findings.length === 0) {
    return { lines: [`REFUSED: no grant names callers of issuer ${issuer}.`], granted: false }
  }
  const shown = missing.slice(0, refusedShownMax)
  const hidden = missing.length - shown.length
  const lines = [
    'REFUSED: no grant gives this.',
    ...shown.map((one) => `grant ${one.grant}: ${missedBy(one, ask)}`),
    ...(hidden === 0 ? [] : [`and ${hidden} more of issuer ${issuer}, which miss by more`]),
  ]
  return { lines, granted: false }
}

function missedBy({ finding }: GrantFinding, ask: ExplainedAsk): string {
  switch (finding.kind) {
    case 'claim':
      return `claim ${printable(finding.rule.claim, 80)} ${foundText(finding.has)}, and must be ${wantedText(finding.rule)}`
    case 'ended':
      return 'names this caller, and has ended: its until has come'
    case 'application':
      return `names this caller, and gives no ${wantedName(ask)}`
    case 'scope':
      return `names this caller, and gives a ${wantedName(ask)} for other scopes`
    case 'revocation':
      return 'names this caller, and does not let it revoke'
    case 'audit':
      return 'names this caller, and does not let it read the ledger'
    case 'tenant':
      return 'names this caller and gives this, in other tenants'
    case 'lifetime':
      return `names this caller, and gives assertions of ${finding.maxSeconds} s at most`
    case 'dry-run':
      return 'would give this, and is in dry-run'
    case 'gives':
      return 'gives this'
  }
}

const wantedName = (ask: ExplainedAsk) =>
  'application' in ask ? `${ask.want} of ${ask.application}` : ask.want

const valueLengthMax = 120

function foundText(found: ClaimFound): string {
  switch (found.is) {
    case 'absent':
      return 'is absent'
    case 'no plain value':
      return 'is a list, a map or null'
    case 'value':
      return `is ${quoted(found.value)}`
  }
}

export const wantedText = ({ anyOf }: Pick<ClaimRule, 'anyOf'>) =>
  anyOf.map((one) => (isPattern(one) ? `like ${quoted(one.like)}` : quoted(one))).join(' or ')

/** Texts in quotes, so that `"1"` and `1` look as different as they are. */
const quoted = (value: string | number | boolean) =>
  typeof value === 'string' ? `"${printable(value, valueLengthMax)}"` : String(value)

function partition<T>(
  all: readonly T[],
  isFirst: (one: T) => boolean,
): readonly [readonly T[], readonly T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))]
}
