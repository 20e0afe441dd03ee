import { hourOfPlace } from '../blob-hour.ts'
import { hourMs } from '../coverage.ts'
import type { Finding, SignUnrecorded } from '../finding.ts'
import { parseKeyUrl } from '../key-name.ts'
import type { Round } from './round.ts'
import type { RoundState } from './round-state.ts'
import type { UnreadFile } from './unread-files.ts'

type Losses = Pick<Round, 'vaultFilesRemoved' | 'ledger'>

/**
 * Of a time that was decided a signature had its record, or was told. Where it is told that the vault's log lost
 * something of that time, that the record is among what was lost is no news.
 *
 * @param unread What was not understood, in this round or an earlier one.
 */
export function isNews(
  state: RoundState,
  losses: Losses,
  unread: readonly UnreadFile[],
): (finding: Finding) => boolean {
  const isUndecidedAt = undecidedTimes(state)
  const toldMs = new Set(openIn(state).map(({ atMs }) => atMs))
  return (finding) =>
    finding.kind !== 'sign.unrecorded' ||
    isUndecidedAt(finding) ||
    toldMs.has(finding.madeAtMs) ||
    losses.ledger.writtenLate.isAbout(finding.signature) ||
    !isLossToldAt(finding.madeAtMs, losses, unread)
}

/** Whether earlier rounds have not decided of what was signed with a key at a time. */
export function undecidedTimes(
  state: RoundState,
): (signature: Pick<SignUnrecorded, 'madeAtMs' | 'keyId'>) => boolean {
  const decidedMs = Math.min(state.decidedUntilMs ?? -Infinity, state.lookFromMs ?? Infinity)
  const silent = openIn(state).filter(({ kind }) => kind === 'logs.silent')
  return ({ madeAtMs, keyId }) =>
    madeAtMs >= decidedMs ||
    state.leftUndecided.some(({ fromMs, toMs }) => madeAtMs >= fromMs && madeAtMs <= toMs) ||
    silent.some(
      ({ atMs, vault }) => vault === parseKeyUrl(keyId ?? '')?.vault && madeAtMs >= (atMs ?? 0),
    )
}

const openIn = ({ findings }: RoundState) =>
  findings.filter(({ resolvedAtMs }) => resolvedAtMs === undefined)

/** Names that tell no hour stand for no time: what is missing there is told. */
function isLossToldAt(
  atMs: number,
  { vaultFilesRemoved }: Losses,
  unread: readonly UnreadFile[],
): boolean {
  const isIn = (fromMs = Infinity, toMs = fromMs) => atMs >= fromMs && atMs < toMs + hourMs
  return (
    unread.some(({ of, file }) => of === 'vault' && isIn(hourOfPlace(file))) ||
    vaultFilesRemoved.some(({ fromMs, toMs }) => isIn(fromMs, toMs))
  )
}
