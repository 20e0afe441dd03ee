import type { Caller } from '../caller/caller.ts'
import type { CallerOnRecord, RequestRefused } from '../ledger/entry.ts'
import type { UseDenial } from '../ledger/token-use.ts'
import type { Decision, PolicyRefusal } from '../policy/decision.ts'
import type { Beginning, IssuanceDeps } from './issuance-deps.ts'
import type { IssuanceRequest, Refused } from './issuance-request.ts'
import { callerOnRecord, dryRunOnRecord } from './on-record.ts'
import type { Refusal } from './refusal.ts'
import { useRefusal } from './token-use.ts'

/**
 * Counted and not written down, so that strangers cannot fill the ledger. An attempt that is on record ends
 * there in any case, also when its caller is not proven any more.
 */
export async function turnAway(
  refusal: Exclude<Refusal, PolicyRefusal>,
  request: IssuanceRequest,
  { isOnRecord, proven }: Beginning,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { reason } = refusal
  const issuer = 'issuer' in refusal ? refusal.issuer : undefined
  const detail = 'detail' in refusal ? refusal.detail : ''
  if (isOnRecord && proven !== undefined) {
    const caller = callerOnRecord(proven.caller, deps)
    await deps.ledger.append([refusedEntry(reason, caller, request, deps)])
  }
  deps.turnedAway.count(reason, issuer)
  deps.events.turnedAway(request.attempt, reason, issuer, detail)
  return { ok: false, refusal }
}

/** Of a caller token that is used up: by whoever sends it, as often as they like. */
export const refuseUse = (
  denial: UseDenial,
  caller: Caller,
  request: IssuanceRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Promise<Refused> =>
  turnAway(useRefusal(denial, caller, deps.onceIssuers), request, beginning, deps)

/**
 * A proven caller. What a grant names is written down; strangers, and whoever has used up a limit,
 * could ask for ever, so they are counted. An attempt that is on record ends there in any case.
 */
export async function refuse(
  decision: Extract<Decision, { ok: false }>,
  caller: Caller,
  request: IssuanceRequest,
  { isOnRecord }: Beginning,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { refusal } = decision
  const { attempt } = request
  const { reason } = refusal
  if (!isOnRecord && (reason === 'caller_not_named' || reason === 'limit_reached')) {
    deps.turnedAway.count(reason, caller.issuer)
    deps.events.turnedAway(attempt, reason, caller.issuer, `subject ${caller.subject}`)
    return { ok: false, refusal }
  }
  const entry = refusedEntry(reason, callerOnRecord(caller, deps), request, deps)
  await deps.ledger.append([{ ...entry, ...dryRunOnRecord(decision) }])
  deps.events.refused(attempt, reason)
  return { ok: false, refusal }
}

/**
 * Written down for the first ones of each minute, and then counted: whoever is stopped may ask as fast
 * as before. An attempt that is on record ends there in any case.
 */
export async function refuseRevoked(
  caller: Caller,
  request: IssuanceRequest,
  { isOnRecord }: Beginning,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { attempt, ask } = request
  const reason = 'revoked'
  const onRecord = callerOnRecord(caller, deps)
  if (isOnRecord || deps.failureLines.mayWrite(onRecord, ask.application, reason)) {
    await deps.ledger.append([refusedEntry(reason, onRecord, request, deps)])
  } else {
    deps.turnedAway.count(reason, caller.issuer)
  }
  deps.events.refused(attempt, reason)
  return { ok: false, refusal: { reason } }
}

const refusedEntry = (
  reason: string,
  caller: CallerOnRecord,
  { attempt, ask }: IssuanceRequest,
  { clock }: Pick<IssuanceDeps, 'clock'>,
): RequestRefused => ({
  kind: 'request.refused',
  atMs: clock.nowMs(),
  attempt,
  caller,
  reason,
  application: ask.application,
  tenant: ask.tenant,
  ...(ask.want === 'token' ? { scope: ask.scope } : {}),
})
