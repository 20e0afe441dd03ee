import type { AttemptId } from '../base/ids.ts'
import type { Caller } from '../caller/caller.ts'
import type { CallerOnRecord, RequestRefused } from '../ledger/entry.ts'
import type { UseDenial } from '../ledger/token-use.ts'
import type { Decision, PolicyRefusal } from '../policy/decision.ts'
import type { Beginning, IssuanceDeps } from './issuance-deps.ts'
import type { IssuanceRequest, Refused } from './issuance-request.ts'
import { callerOnRecord, dryRunOnRecord } from './on-record.ts'
import type { Refusal } from './refusal.ts'
import { useRefusal } from './token-use.ts'

/** Counted and not written down, so that strangers cannot fill the ledger. */
export function turnAway(
  refusal: Exclude<Refusal, PolicyRefusal>,
  attempt: AttemptId,
  deps: IssuanceDeps,
): Refused {
  const issuer = 'issuer' in refusal ? refusal.issuer : undefined
  const detail = 'detail' in refusal ? refusal.detail : ''
  deps.turnedAway.count(refusal.reason, issuer)
  deps.events.turnedAway(attempt, refusal.reason, issuer, detail)
  return { ok: false, refusal }
}

/** Of a caller token that is used up: by whoever sends it, as often as they like. */
export const refuseUse = (
  denial: UseDenial,
  caller: Caller,
  attempt: AttemptId,
  deps: IssuanceDeps,
): Refused => turnAway(useRefusal(denial, caller, deps.onceIssuers), attempt, deps)

/**
 * A proven caller. What a grant names is written down; strangers, and whoever has used up a limit,
 * could ask for ever, so they are counted. An attempt that has begun ends in the ledger in any case.
 */
export async function refuse(
  decision: Extract<Decision, { ok: false }>,
  caller: Caller,
  request: IssuanceRequest,
  { isWritten }: Beginning,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { refusal } = decision
  const { attempt } = request
  const { reason } = refusal
  if (!isWritten && (reason === 'caller_not_named' || reason === 'limit_reached')) {
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
 * as before. An attempt that has begun ends in the ledger in any case.
 */
export async function refuseRevoked(
  caller: Caller,
  request: IssuanceRequest,
  { isWritten }: Pick<Beginning, 'isWritten'>,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { attempt, ask } = request
  const reason = 'revoked'
  const onRecord = callerOnRecord(caller, deps)
  if (isWritten || deps.failureLines.mayWrite(onRecord, ask.application, reason)) {
    await deps.ledger.append([refusedEntry(reason, onRecord, request, deps)])
  } else {
    deps.turnedAway.count(reason, caller.issuer)
  }
  deps.events.refused(attempt, reason)
  return { ok: false, refusal: { reason } }
}

/** What has begun ends in the ledger, also when its caller is not proven any more. */
export async function refuseBegun(
  { refusal }: Refused,
  caller: Caller,
  request: IssuanceRequest,
  { isWritten }: Pick<Beginning, 'isWritten'>,
  deps: IssuanceDeps,
): Promise<void> {
  if (!isWritten) return
  await deps.ledger.append([
    refusedEntry(refusal.reason, callerOnRecord(caller, deps), request, deps),
  ])
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
