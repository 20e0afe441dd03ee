import type { AttemptId } from '../base/ids.ts'
import type { Caller } from '../caller/caller.ts'
import type {
  CallerOnRecord,
  DecisionOnRecord,
  RequestFailed,
  RequestGranted,
  TokenIssued,
} from '../ledger/entry.ts'
import type { Ask, Decision } from '../policy/decision.ts'
import type { CachedToken } from '../token-cache/token-cache.ts'
import type { IssuanceDeps } from './issuance-deps.ts'

export const callerOnRecord = (
  caller: Caller,
  deps: Pick<IssuanceDeps, 'sharedAudienceIssuers'>,
): CallerOnRecord => ({
  ...(caller.certificateSha256 === undefined
    ? {}
    : { certificateSha256: caller.certificateSha256 }),
  issuer: caller.issuer,
  ...(deps.sharedAudienceIssuers.has(caller.issuer) ? { sharedAudience: true } : {}),
  subject: caller.subject,
  ...(caller.tokenSha256 === undefined ? {} : { tokenSha256: caller.tokenSha256 }),
})

export const decisionOnRecord = (
  attempt: AttemptId,
  caller: CallerOnRecord,
  grant: string,
  ask: Ask,
): DecisionOnRecord => ({
  attempt,
  caller,
  grant,
  application: ask.application,
  tenant: ask.tenant,
  ...(ask.want === 'token' ? { scope: ask.scope } : {}),
})

export const grantedEntry = (decided: DecisionOnRecord, nowMs: number): RequestGranted => ({
  kind: 'request.granted',
  atMs: nowMs,
  ...decided,
})

export const failedEntry = (
  decided: DecisionOnRecord,
  code: string,
  nowMs: number,
): RequestFailed => ({ kind: 'request.failed', atMs: nowMs, ...decided, code })

/** Its members are in the order of their canonical form, which costs less then: most entries are of this kind. */
export const tokenIssued = (
  { application, attempt, caller, dryRun, grant, longLived, scope, tenant }: DecisionOnRecord,
  { obtainedBy, sha256, expiresAtSeconds }: CachedToken,
  atMs: number,
): TokenIssued => ({
  application,
  atMs,
  attempt,
  caller,
  ...(dryRun === undefined ? {} : { dryRun }),
  expiresAtSeconds,
  grant,
  kind: 'token.issued',
  ...(longLived === undefined ? {} : { longLived }),
  obtainedBy,
  ...(scope === undefined ? {} : { scope }),
  tenant,
  tokenSha256: sha256,
})

/** What would be otherwise if grants that are only tried were enforced. */
export const dryRunOnRecord = ({ dryRun }: Decision) => (dryRun === undefined ? {} : { dryRun })
