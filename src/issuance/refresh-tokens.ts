import { newAttemptId } from '../base/ids.ts'
import type { CallerOnRecord } from '../ledger/entry.ts'
import { isRevoked } from '../revocation/revocation.ts'
import type { DueToken } from '../token-cache/token-cache.ts'
import { tokenKeyText } from '../token-cache/token-key.ts'
import { credentialsFor } from './admit.ts'
import { isOvertaken } from './append-decided.ts'
import { firstKeyId } from './either-certificate.ts'
import { failureCode } from './failure-code.ts'
import { withLife } from './issuance.ts'
import { type AdmittedAttempt, type IssuanceDeps, notBegun } from './issuance-deps.ts'
import { obtainToken } from './obtain-token.ts'
import { decisionOnRecord, failedEntry } from './on-record.ts'
import { recordFailure } from './record-failure.ts'
import { recordingFailure } from './recording-failure.ts'
import { tokenKeyFor } from './token-key-for.ts'

/**
 * Refreshes tokens in use before they end, each by an attempt of its own whose caller is the service.
 * The grant that used a token last must still give it. Nobody waits for a refresh, and one that fails
 * takes nothing away.
 */
export interface TokenRefresher {
  /** Starts what is due, as far as there is room, and what falls due while there is. Returns at once. */
  start(): void
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
  /** Starts nothing any more; resolves when what is under way has ended. */
  stop(): Promise<void>
}

/** Some hundreds a second while vault and Entra answer fast, and few of their requests while they do not. */
const atOnceMax = 16

/** Never a proven caller: those have a token, and no issuer may be called this. */
const refreshCaller: CallerOnRecord = { issuer: 'countersign', subject: 'refresh' }

export function createTokenRefresher(inForce: () => IssuanceDeps): TokenRefresher {
  const underWay = new Set<Promise<void>>()
  let isStopped = false

  const start = () => {
    while (!isStopped && underWay.size < atOnceMax) {
      const deps = inForce()
      const due = deps.cache.takeDue()
      if (due === undefined) return
      const refreshing = refresh(due, deps).finally(() => {
        underWay.delete(refreshing)
        start()
      })
      underWay.add(refreshing)
    }
  }
  const idle = async () => {
    while (underWay.size > 0) await Promise.all(underWay)
  }
  return {
    start,
    idle,
    stop: () => {
      isStopped = true
      return idle()
    },
  }
}

/** Never rejects. */
async function refresh(due: DueToken, deps: IssuanceDeps): Promise<void> {
  const admitted = admit(due, deps)
  if (admitted === undefined) {
    deps.events.refreshLeft()
    return
  }
  try {
    await recordingOvertaken(admitted, deps, () =>
      recordingFailure(admitted, deps, () =>
        deps.cache.refresh(due, firstKeyId(admitted, deps), () =>
          obtainToken(admitted, due.key, deps),
        ),
      ),
    )
    deps.events.tokenRefreshed()
  } catch (error) {
    deps.events.refreshFailed(admitted.attempt, failureCode(error), error)
  }
}

/** A refresh that was overtaken is not decided again: where it is on record, it ends there. */
async function recordingOvertaken(
  { attempt, onRecord, beginning }: AdmittedAttempt,
  deps: IssuanceDeps,
  act: () => Promise<unknown>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!beginning.isOnRecord || !isOvertaken(error)) throw error
    const entry = failedEntry(onRecord, error.code, deps.clock.nowMs())
    await recordFailure(error, entry, attempt, deps)
  }
}

/** Undefined when the grant does not give this very token any more, or nothing can be signed for it. */
function admit({ key, grant }: DueToken, deps: IssuanceDeps): AdmittedAttempt | undefined {
  const application = deps.applications.get(key.application)
  const stands = deps.revocations.current()
  if (isRevoked(stands, { application: key.application, tenant: key.tenant })) return undefined
  const credentials = credentialsFor(key.application, deps)
  const ask = { want: 'token', ...key } as const
  const terms = deps.stillGiven(grant, ask)
  if (application === undefined || credentials.length === 0 || terms === undefined) return undefined
  const given = tokenKeyFor(
    deps.cloud,
    application,
    ask,
    { grant, ...terms },
    key.life === 'long-lived',
  )
  if (tokenKeyText(given) !== tokenKeyText(key)) return undefined
  const attempt = newAttemptId()
  const onRecord = decisionOnRecord(attempt, refreshCaller, grant, ask)
  const admitted: AdmittedAttempt = {
    attempt,
    issuer: undefined,
    application,
    tenant: key.tenant,
    decidedUnder: stands.epoch,
    credentials,
    onRecord,
    tokenUse: undefined,
    beginning: notBegun(deps.clock),
    priority: 'ahead',
  }
  return withLife(admitted, key.life)
}
