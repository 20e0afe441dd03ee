import type { Clock } from '../base/clock.ts'
import type { ClientId, IssuerName } from '../base/ids.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type {
  Caller,
  CallerError,
  CallerRefusal,
  CallerRefusalReason,
  Identification,
  TokenIdentifier,
} from './caller.ts'
import { parseCompactToken, tokenCharactersMax } from './compact-token.ts'
import { createIssuerDirectory, keyLocationOf } from './issuer-directory.ts'
import type { IssuerSettings } from './issuer-settings.ts'
import type { FetchJson } from './json-fetcher.ts'
import { judgeClaims } from './judge-claims.ts'
import { createKeySource, type KeySource } from './key-source.ts'
import { proveSignature } from './signature-proof.ts'
import { sealed } from './strict-json.ts'
import { createVerifiedTokenCache, type VerifiedTokenCacheLimits } from './verified-token-cache.ts'

export interface JwtCallerDeps {
  readonly issuers: readonly IssuerSettings[]
  /** Client ids of the applications that we sign for: their tokens prove nobody. */
  readonly ownClientIds: readonly ClientId[]
  readonly clock: Clock
  readonly fetchJson: FetchJson
  /** Told each time an issuer could not be asked, also when older keys keep callers served. */
  readonly onIssuerAway: (failure: CallerError) => void
  /** Absent: 20,000 tokens, 64 MiB. */
  readonly cacheLimits?: VerifiedTokenCacheLimits
  /** Of one before it: issuers whose keys are where they were are not asked anew. Absent: none. */
  readonly known?: KeySources
}

/** By issuer and where its keys are, or may be. */
export type KeySources = ReadonlyMap<string, KeySource>

export interface JwtCallerIdentifier extends TokenIdentifier {
  /** For one after it. */
  readonly keySources: KeySources
}

/**
 * Proves callers by the JWT of an issuer that the operator lists (RFC 7519, RFC 8725). Only hosts
 * that the settings name are ever contacted, whatever a token says.
 *
 * @throws RangeError for settings that contradict themselves.
 */
export function createJwtCallerIdentifier(deps: JwtCallerDeps): JwtCallerIdentifier {
  const { issuers, clock, cacheLimits = { entriesMax: 20_000, bytesMax: 64 * 2 ** 20 } } = deps
  const directory = createIssuerDirectory(issuers)
  const named = issuers.map((settings) => ({ settings, ...keySourceOf(settings, deps) }))
  const keySources = new Map(named.map(({ settings, keys }) => [settings, keys]))
  const ownClientIds = new Set<string>(deps.ownClientIds)
  const cache = createVerifiedTokenCache(cacheLimits, clock)
  const flights = new Map<string, Promise<Identification>>()

  const verify = async (text: string): Promise<Identification> => {
    const parsed = parseCompactToken(text)
    if (!parsed.ok) return refused({ reason: 'caller_token_malformed', detail: parsed.fault })
    const { token } = parsed
    const finding = directory.find(token.claims)
    if (finding.found === 'nothing') return refused({ reason: 'caller_issuer_unknown' })
    if (finding.found === 'unlisted tenant') {
      return refusedBy(finding.settings.name, 'caller_tenant_refused', 'iss and tid')
    }
    const { issuer } = finding
    const { settings } = issuer
    const keys = keySources.get(settings)
    if (keys === undefined) throw new TypeError('the directory knows only issuers with keys')
    const tokenSha256 = sha256Base64url(text)
    const signed = { text, sha256: tokenSha256, header: token.header }
    const proof = await proveSignature(signed, issuer, keys)
    if (!proof.ok) return refusedBy(settings.name, proof.reason, proof.detail)
    const nowSeconds = clock.nowSeconds()
    const claims = sealed(token.claims)
    const verdict = judgeClaims(claims, { issuer, nowSeconds, ownClientIds })
    if (!verdict.ok) return refusedBy(settings.name, verdict.reason, verdict.detail)
    const { subject, expiresAtSeconds } = verdict
    const caller: Caller = Object.freeze({
      issuer: settings.name,
      subject,
      claims,
      tokenSha256,
      tokenId: tokenIdOf(settings.name, claims['jti'], text),
      expiresAtSeconds,
    })
    cache.keep({
      caller,
      text,
      keyIsTrusted: () => keys.trusts(proof.key.fingerprint),
    })
    return { ok: true, caller }
  }

  return {
    keySources: new Map(named.map(({ name, keys }) => [name, keys])),
    known: (secret) => cache.find(secret.reveal()),
    identify: async (secret) => {
      const text = secret.reveal()
      if (text === '') return refused({ reason: 'caller_token_missing' })
      // Before anything is computed over it.
      if (text.length > tokenCharactersMax) {
        return refused({ reason: 'caller_token_malformed', detail: 'too long' })
      }
      const caller = cache.find(text)
      if (caller !== undefined) return { ok: true, caller }
      return joinFlight(flights, text, () => verify(text))
    },
  }
}

/** Names hold no spaces, so no two of these are alike. */
function tokenIdOf(issuer: IssuerName, jti: unknown, text: string): string {
  const named = typeof jti === 'string' && jti !== ''
  const signed = text.slice(0, text.lastIndexOf('.'))
  return sha256Base64url(named ? `jti ${issuer} ${jti}` : `signed ${issuer} ${signed}`)
}

function keySourceOf(
  settings: IssuerSettings,
  { clock, fetchJson, onIssuerAway, known }: JwtCallerDeps,
): { readonly name: string; readonly keys: KeySource } {
  const { name: issuer, privateAddress = 'refuse' } = settings
  const location = keyLocationOf(settings)
  const name = `${issuer} ${privateAddress} ${JSON.stringify(location)}`
  const source = { issuer, location, privateAddress, fetchJson, clock, onIssuerAway }
  const keys = known?.get(name) ?? createKeySource(source)
  return { name, keys }
}

/** Ten thousand callers with one token cost one verification. Bounded by the requests in progress. */
function joinFlight<T>(
  flights: Map<string, Promise<T>>,
  name: string,
  begin: () => Promise<T>,
): Promise<T> {
  const under = flights.get(name)
  if (under !== undefined) return under
  const flight = begin().finally(() => flights.delete(name))
  flights.set(name, flight)
  return flight
}

const refused = (refusal: CallerRefusal): Identification => ({ ok: false, refusal })

const refusedBy = (issuer: IssuerName, reason: CallerRefusalReason, detail: string) =>
  refused({ reason, issuer, detail })
