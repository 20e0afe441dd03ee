import { claimsMatch } from '../base/claim-rules.ts'
import type { Clock } from '../base/clock.ts'
import type {
  Caller,
  CallerRefusal,
  CertificateIdentifier,
  ClientCertificate,
  Identification,
} from './caller.ts'
import { certificateIdentityFrom } from './certificate-identity.ts'
import { findPaths, type PathFinding, type ProvenPath } from './certificate-path.ts'
import type { MtlsIssuerSettings } from './issuer-settings.ts'
import { sealed } from './strict-json.ts'

/** What is true of a certificate at any time. */
type Judgement =
  | { readonly ok: true; readonly caller: Caller; readonly path: ProvenPath }
  | { readonly ok: false; readonly refusal: CallerRefusal }

/** By each path to a CA of the one issuer that vouches; of those in date any will do. */
type Judgements = readonly [Judgement, ...(readonly Judgement[])]

/**
 * Proves callers by certificates of the CAs that the operator lists, each issuer with its own: which of
 * them vouches is told by signatures alone. A connection is judged once; when its certificate begins
 * and ends is looked at each time.
 */
export function createCertificateCallerIdentifier(deps: {
  readonly issuers: readonly MtlsIssuerSettings[]
  readonly clock: Clock
}): CertificateIdentifier {
  const judged = new WeakMap<ClientCertificate, Judgements>()
  const judgementsOf = (certificate: ClientCertificate): Judgements => {
    const before = judged.get(certificate)
    if (before !== undefined) return before
    const judgements = judge(certificate, deps.issuers)
    judged.set(certificate, judgements)
    return judgements
  }
  return {
    identify: (certificate) => {
      const nowMs = deps.clock.nowMs()
      const [first, ...others] = judgementsOf(certificate)
      const now = atTime(first, nowMs)
      if (now.ok) return now
      return others.map((other) => atTime(other, nowMs)).find(({ ok }) => ok) ?? now
    },
  }
}

function judge(certificate: ClientCertificate, issuers: readonly MtlsIssuerSettings[]): Judgements {
  const vouching = issuers.flatMap((issuer) => {
    const [first, ...others] = findPaths(certificate.chain, issuer.anchors)
    return first === undefined ? [] : [{ issuer, first, others }]
  })
  const [only, another] = vouching
  if (only === undefined) return [refused({ reason: 'caller_certificate_unknown' })]
  if (another !== undefined) return [refused({ reason: 'caller_certificate_ambiguous' })]
  const { issuer, first, others } = only
  const judgeFinding = (finding: PathFinding) =>
    finding.found === 'fault'
      ? refusedBy(issuer, finding.fault)
      : judgeIdentity(certificate, issuer, finding.path)
  return [judgeFinding(first), ...others.map(judgeFinding)]
}

function judgeIdentity(
  certificate: ClientCertificate,
  issuer: MtlsIssuerSettings,
  path: ProvenPath,
): Judgement {
  const identity = certificateIdentityFrom(certificate, path.facts, issuer)
  if (!identity.ok) return refusedBy(issuer, identity.fault)
  const { subject } = identity
  const claims = sealed(identity.claims)
  const broken = issuer.require.find((rule) => !claimsMatch([rule], claims))
  if (broken !== undefined) {
    return refused({ reason: 'caller_claim_refused', issuer: issuer.name, detail: broken.claim })
  }
  const caller: Caller = Object.freeze({
    issuer: issuer.name,
    subject,
    claims,
    certificateSha256: certificate.sha256,
    expiresAtSeconds: Math.floor(path.notAfterMs / 1000),
  })
  return { ok: true, caller, path }
}

/** No grace at either end: who issues for minutes has clocks that agree, and nothing may outlive its end. */
function atTime(judgement: Judgement, nowMs: number): Identification {
  if (!judgement.ok) return judgement
  const { caller, path } = judgement
  if (nowMs < path.notBeforeMs) return refusedBy({ name: caller.issuer }, 'not yet valid')
  if (nowMs >= path.notAfterMs) return refusedBy({ name: caller.issuer }, 'expired')
  return { ok: true, caller }
}

const refused = (refusal: CallerRefusal) => ({ ok: false, refusal }) as const

const refusedBy = ({ name }: Pick<MtlsIssuerSettings, 'name'>, detail: string) =>
  refused({ reason: 'caller_certificate_refused', issuer: name, detail })
