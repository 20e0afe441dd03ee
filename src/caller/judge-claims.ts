import { z } from 'zod'
import { claimsMatch } from '../base/claim-rules.ts'
import type { CallerRefusalReason } from './caller.ts'
import type { NamedIssuer } from './issuer-directory.ts'
import { shortName } from './short-name.ts'
import type { StrictJsonObject } from './strict-json.ts'

/** What a verified token is judged by. */
export interface ClaimContext {
  readonly issuer: NamedIssuer
  readonly nowSeconds: number
  /** Lower-case client ids of the applications that we sign for. */
  readonly ownClientIds: ReadonlySet<string>
}

export type ClaimVerdict =
  | { readonly ok: true; readonly subject: string; readonly expiresAtSeconds: number }
  | { readonly ok: false; readonly reason: CallerRefusalReason; readonly detail: string }

/** Claims that the rules read, known to have the form they should. */
type NeededClaims = z.output<typeof neededClaims>

/** One token before one rule. */
interface Case extends ClaimContext {
  readonly claims: StrictJsonObject
  readonly needed: NeededClaims
}

/** Says what is wrong, in words that hold nothing of the token but numbers and short names. */
type Rule = (judged: Case) => string | undefined

/**
 * Clocks of issuers run ahead of ours by this at most. `exp` gets no such grace: a token that has
 * expired by our clock proves nothing, and nothing of ours may outlive it.
 */
const skewSeconds = 60

const neededClaims = z.object({
  sub: z.string().min(1),
  exp: z.number(),
  nbf: z.number().optional(),
  iat: z.number().optional(),
})
const neededEntraClaims = { oid: z.string().min(1) }
/**
 * `azp` and `scp` are in access tokens of B2C alone, never in the ID tokens that an application shows to
 * nobody; a `nonce` may be in both. A tenant that is set to older ways says of everybody that `sub` is
 * not supported, which would make one caller of all.
 *
 * @see Microsoft, Overview of tokens in Azure Active Directory B2C; Request an access token in it.
 */
const neededB2cClaims = {
  sub: neededClaims.shape.sub.refine((sub) => !/^not supported/i.test(sub)),
  azp: z.string().min(1),
  scp: z.string().min(1),
}

/** The first that applies is told. */
const rules: readonly (readonly [CallerRefusalReason, Rule])[] = [
  ['caller_token_expired', expired],
  ['caller_token_not_yet_valid', notYetValid],
  ['caller_token_too_long_lived', tooLongLived],
  ['caller_audience_wrong', meantForSomebodyElse],
  ['caller_not_an_application', delegated],
  ['caller_claim_refused', identityToken],
  ['caller_is_ourselves', ourOwn],
  ['caller_claim_refused', requirementBroken],
]

/** Judges the claims of a token whose signature is its issuer's. Pure. */
export function judgeClaims(claims: StrictJsonObject, context: ClaimContext): ClaimVerdict {
  const needed = schemaOf(context.issuer).safeParse(claims)
  if (!needed.success) {
    const detail = String(needed.error.issues[0]?.path[0])
    return { ok: false, reason: 'caller_claim_missing', detail }
  }
  for (const [reason, rule] of rules) {
    const detail = rule({ ...context, claims, needed: needed.data })
    if (detail !== undefined) return { ok: false, reason, detail }
  }
  const { sub, exp } = needed.data
  return { ok: true, subject: subjectFrom(sub), expiresAtSeconds: Math.floor(exp) }
}

function schemaOf({ settings, tenant }: NamedIssuer): typeof neededClaims {
  if (settings.kind === 'entra-b2c') return neededClaims.extend(neededB2cClaims)
  return tenant?.version === undefined
    ? neededClaims
    : neededClaims.extend({ ...neededEntraClaims, ver: z.literal(tenant.version) })
}

/** Cutting may split a pair of surrogates, and the ledger takes only well-formed text. */
const subjectFrom = (sub: string) => sub.slice(0, 512).toWellFormed()

function expired({ needed: { exp }, nowSeconds }: Case) {
  return nowSeconds < Math.floor(exp) ? undefined : `exp ${exp}, now ${nowSeconds}`
}

function notYetValid({ needed: { nbf = -Infinity, iat = -Infinity }, nowSeconds }: Case) {
  const fromSeconds = Math.max(nbf, iat)
  if (fromSeconds <= nowSeconds + skewSeconds) return undefined
  return `from ${fromSeconds}, now ${nowSeconds}`
}

/** A token that does not say when it was issued is taken for one of this moment. */
function tooLongLived({ needed: { exp, iat, nbf }, issuer, nowSeconds }: Case) {
  const lifeSeconds = exp - (iat ?? nbf ?? nowSeconds)
  const { maxTokenSeconds } = issuer.settings
  return lifeSeconds <= maxTokenSeconds ? undefined : `${lifeSeconds} s, at most ${maxTokenSeconds}`
}

function meantForSomebodyElse({ claims, issuer }: Case) {
  const { aud } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (audiences.includes(issuer.settings.audience)) return undefined
  return `meant for ${audiences.slice(0, 3).map(shortName).join(', ')}`
}

/**
 * Entra's application tokens say `idtyp: app` where the API asks for that claim; elsewhere they are
 * those without scopes whose subject is the service principal itself.
 */
function delegated({ claims: { idtyp, scp, oid, sub }, issuer }: Case) {
  if (issuer.settings.kind !== 'entra') return undefined
  if (scp !== undefined) return 'scp'
  if (idtyp === undefined) return oid === sub ? undefined : 'sub is not oid'
  return idtyp === 'app' ? undefined : 'idtyp'
}

/** Hashes of what was issued beside it are in ID tokens alone, whatever a policy adds to them. */
function identityToken({ claims, issuer }: Case) {
  if (issuer.settings.kind !== 'entra-b2c') return undefined
  return ['at_hash', 'c_hash'].find((claim) => claims[claim] !== undefined)
}

/** By whichever issuer it comes: a generic one may be an Entra tenant. */
function ourOwn({ claims: { appid, azp }, ownClientIds }: Case) {
  const isOurs = (id: unknown) => typeof id === 'string' && ownClientIds.has(id.toLowerCase())
  return isOurs(appid) || isOurs(azp) ? 'appid or azp' : undefined
}

function requirementBroken({ claims, issuer }: Case) {
  return issuer.settings.require.find((rule) => !claimsMatch([rule], claims))?.claim
}
