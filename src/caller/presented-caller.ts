import type { Clock } from '../base/clock.ts'
import type { IssuerName } from '../base/ids.ts'
import type {
  Caller,
  CallerIdentifier,
  CertificateIdentifier,
  HolderRefusalReason,
  Identification,
  PresentedProofs,
  PresentedToken,
  TokenIdentifier,
} from './caller.ts'
import { judgeDpopProof } from './dpop-proof.ts'
import { type TokenBinding, tokenBindingFrom } from './token-binding.ts'
import type { UsedIds } from './used-ids.ts'

export interface PresentedCallerDeps {
  readonly tokens: TokenIdentifier
  readonly certificates: CertificateIdentifier
  /** Issuers whose tokens count only if they are bound, and to what; the others' count as they come. */
  readonly boundTokens: ReadonlyMap<IssuerName, 'certificate' | 'dpop' | 'either'>
  /** Origin under which callers reach us. */
  readonly publicUrl: string
  readonly clock: Clock
  /** Of DPoP proofs. */
  readonly usedIds: UsedIds
}

/** What the token alone does not prove; undefined when nothing is missing. */
type BindingFault =
  | {
      readonly reason: HolderRefusalReason
      readonly detail: string
      readonly mustCome?: 'with-dpop'
    }
  | undefined

/** A token and who is proven by it, with all that came beside it. */
interface Sent {
  readonly token: PresentedToken
  readonly presented: PresentedProofs
}

/**
 * Proves callers by all that a request presents. Whose token it is may be remembered; that its sender
 * holds the key that it is bound to is proven in each request.
 */
export function createCallerIdentifier(deps: PresentedCallerDeps): CallerIdentifier {
  return {
    known: (presented) => {
      const { token } = presented
      if (token === undefined || !comesAlone(token, presented)) return undefined
      const caller = deps.tokens.known(token.text)
      return caller !== undefined && mayComeAlone(caller, deps) ? caller : undefined
    },
    identify: async (presented) => {
      const { token } = presented
      if (token === undefined) return identifyByConnection(presented, deps.certificates)
      const identified = await deps.tokens.identify(token.text)
      if (!identified.ok) return identified
      const { caller } = identified
      const fault = await bindingFault(caller, { token, presented }, deps)
      if (fault === undefined) return identified
      return { ok: false, refusal: { ...fault, issuer: caller.issuer } }
    },
  }
}

/** As a bearer token without any other proof: as nearly all do. */
const comesAlone = ({ scheme }: PresentedToken, { dpopProof, certificate }: PresentedProofs) =>
  scheme === 'Bearer' && dpopProof === undefined && certificate === undefined

/** Its token is bound to nothing, and its issuer's need not be. */
const mayComeAlone = ({ issuer, claims: { cnf } }: Caller, { boundTokens }: PresentedCallerDeps) =>
  cnf === undefined && !boundTokens.has(issuer)

function identifyByConnection(
  { certificate, dpopProof }: PresentedProofs,
  certificates: CertificateIdentifier,
): Identification {
  // A proof of a key proves nothing of a token that is not there.
  if (certificate === undefined || dpopProof !== undefined) {
    return { ok: false, refusal: { reason: 'caller_token_missing' } }
  }
  return certificates.identify(certificate)
}

function bindingFault(
  caller: Caller,
  sent: Sent,
  deps: PresentedCallerDeps,
): BindingFault | Promise<BindingFault> {
  const binding = tokenBindingFrom(caller.claims)
  const unfit = unfitBinding(binding, deps.boundTokens.get(caller.issuer))
  if (unfit !== undefined) return unfit
  switch (binding.to) {
    case 'unknown':
      throw new TypeError('a binding that is not known is unfit')
    case 'nobody':
      return bearerFault(sent, deps)
    case 'certificate':
      return certificateFault(binding.sha256, sent)
    case 'dpop':
      return dpopFault(binding.keyThumbprint, sent, deps)
  }
}

/** What no proof could mend; undefined when the token counts with the proof of its key, if it has one. */
export function unfitBinding(
  { to }: TokenBinding,
  wanted: 'certificate' | 'dpop' | 'either' | undefined,
): BindingFault {
  if (to === 'unknown') return { reason: 'caller_binding_unknown', detail: 'cnf' }
  const isWanted = wanted === 'either' ? to !== 'nobody' : to === (wanted ?? to)
  if (isWanted) return undefined
  const unbound = { reason: 'caller_token_unbound', detail: `bound to ${to}` } as const
  return wanted === 'certificate' ? unbound : { ...unbound, mustCome: 'with-dpop' }
}

function bearerFault({ token, presented }: Sent, deps: PresentedCallerDeps): BindingFault {
  // RFC 9449 §7.1: the scheme says that the token is bound.
  if (token.scheme === 'DPoP') return { reason: 'caller_token_unbound', detail: 'sent as DPoP' }
  if (presented.dpopProof !== undefined) return twoProofs('DPoP')
  return isAnothersProof(presented, deps) ? twoProofs('certificate') : undefined
}

function certificateFault(sha256: string, { token, presented }: Sent): BindingFault {
  if (token.scheme === 'DPoP') return unproven('sent as DPoP')
  if (presented.certificate === undefined) return unproven('no certificate')
  if (presented.certificate.sha256 !== sha256) return unproven('another certificate')
  return presented.dpopProof === undefined ? undefined : twoProofs('DPoP')
}

async function dpopFault(
  keyThumbprint: string,
  { token, presented }: Sent,
  deps: PresentedCallerDeps,
): Promise<BindingFault> {
  // RFC 9449 §7.2: whoever takes it as a bearer token takes it from a thief.
  if (token.scheme === 'Bearer') return unprovenByDpop('sent as Bearer')
  if (presented.dpopProof === undefined) return unprovenByDpop('no proof')
  const verdict = await judgeDpopProof(presented.dpopProof, {
    keyThumbprint,
    token: token.text,
    target: presented.target,
    publicUrl: deps.publicUrl,
    nowSeconds: deps.clock.nowSeconds(),
  })
  if (!verdict.ok) {
    return verdict.fault === 'another key'
      ? unprovenByDpop(verdict.fault)
      : dpopRefused(verdict.fault)
  }
  if (isAnothersProof(presented, deps)) return twoProofs('certificate')
  // Last: what is refused for another reason must not use a proof up.
  const { id, goodForSeconds } = verdict
  const use = await deps.usedIds.use(keyThumbprint, id, goodForSeconds, presented)
  if (use === 'first') return undefined
  return dpopRefused(use === 'again' ? 'used before' : 'too many at one time')
}

/**
 * Whether a certificate beside a token is a proof too, of whomever: one that a CA of an issuer stands
 * above, in date or not. Others prove nobody here, and clients send them because they were asked.
 */
function isAnothersProof(
  { certificate }: PresentedProofs,
  { certificates }: PresentedCallerDeps,
): boolean {
  if (certificate === undefined) return false
  const identified = certificates.identify(certificate)
  return identified.ok || identified.refusal.reason !== 'caller_certificate_unknown'
}

const twoProofs = (detail: string) => ({ reason: 'caller_two_proofs', detail }) as const
const unproven = (detail: string) => ({ reason: 'caller_binding_unproven', detail }) as const
const unprovenByDpop = (detail: string) => ({ ...unproven(detail), mustCome: 'with-dpop' }) as const
const dpopRefused = (detail: string) => ({ reason: 'caller_dpop_refused', detail }) as const
