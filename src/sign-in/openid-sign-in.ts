import * as client from 'openid-client'
import { Agent } from 'undici'
import { type ClaimRule, claimsMatch } from '../base/claim-rules.ts'
import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import { type BegunSignIn, type Person, type PersonSignIn, SignInError } from './sign-in.ts'

export interface OpenIdSignInOptions {
  /** Metadata is looked for below it (OpenID Connect Discovery 1.0 §4). */
  readonly issuer: string
  readonly clientId: string
  /** Undefined: a public client, which PKCE alone protects. */
  readonly clientSecret: Secret<string> | undefined
  /** Where the issuer sends browsers back to. */
  readonly redirectUri: string
  /** Of the ID token: who may. At least one. */
  readonly rules: readonly ClaimRule[]
  readonly clock: Clock
}

const timeoutSeconds = 10
/** Metadata, keys and tokens are a few KB each. */
const answerBytesMax = 256 * 1024
/** Whoever begins a sign-in can come back, and then the issuer is asked: that costs a stranger nothing. */
const finishingMax = 8
/** So that no stranger has all of them. */
const finishingPerNetworkMax = 2
/** Some 100 bytes each. By then what was begun is old, or somebody has begun as often, which is as good to them as coming back. */
const finishedMax = 10_000
/** After an issuer that did not answer. */
const pauseMs = 5000
/** Until metadata is asked for again. */
const metadataMs = 24 * 3_600_000

/**
 * The authorization code flow (OpenID Connect Core 1.0 §3.1) with PKCE (RFC 7636), state and nonce, for one client. The
 * ID token's signature is verified, though it comes from the issuer itself.
 */
export function createOpenIdSignIn(options: OpenIdSignInOptions): PersonSignIn & {
  close(): Promise<void>
} {
  const { issuer, redirectUri, rules, clock } = options
  const agent = new Agent({ connections: finishingMax, maxResponseSize: answerBytesMax })
  const customFetch = fetchThrough(agent)
  let known: { readonly configuration: client.Configuration; readonly untilMs: number } | undefined
  let failedAtMs = Number.NEGATIVE_INFINITY
  let asking: Promise<client.Configuration> | undefined
  const places = createPlaces()

  const ask = async (): Promise<client.Configuration> => {
    try {
      const configuration = await discovered(options, customFetch)
      known = { configuration, untilMs: clock.monotonicMs() + metadataMs }
      return configuration
    } catch (cause) {
      failedAtMs = clock.monotonicMs()
      throw new SignInError('SIGN_IN_UNAVAILABLE', { cause })
    }
  }

  /** However many wait, the issuer is asked once. */
  const configured = async (): Promise<client.Configuration> => {
    const nowMs = clock.monotonicMs()
    if (known !== undefined && nowMs < known.untilMs) return known.configuration
    if (nowMs - failedAtMs < pauseMs) throw new SignInError('SIGN_IN_UNAVAILABLE')
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return asking
  }

  const redeemed = async (query: string, begun: BegunSignIn): Promise<client.IDToken> => {
    const configuration = await configured()
    try {
      const tokens = await client.authorizationCodeGrant(
        configuration,
        new URL(`${redirectUri}${query}`),
        {
          expectedState: begun.state,
          expectedNonce: begun.nonce,
          pkceCodeVerifier: begun.codeVerifier,
          idTokenExpected: true,
        },
      )
      const claims = tokens.claims()
      if (claims === undefined) throw new SignInError('SIGN_IN_REFUSED')
      return claims
    } catch (cause) {
      if (cause instanceof SignInError) throw cause
      const code = isOfIssuer(cause) ? 'SIGN_IN_UNAVAILABLE' : 'SIGN_IN_REFUSED'
      throw new SignInError(code, { cause })
    }
  }

  return {
    begin: async () => {
      const configuration = await configured()
      const begun = {
        state: client.randomState(),
        nonce: client.randomNonce(),
        codeVerifier: client.randomPKCECodeVerifier(),
      }
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: 'openid profile',
        response_type: 'code',
        state: begun.state,
        nonce: begun.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(begun.codeVerifier),
        code_challenge_method: 'S256',
      })
      return { begun, authorizationUrl: url.href }
    },
    finish: async (query, begun, network): Promise<Person> => {
      // Any page can lead a browser here: what does not know the state uses nothing up.
      if (new URLSearchParams(query).get('state') !== begun.state) throw refused('of another state')
      places.take(begun.state, network)
      try {
        const claims = await redeemed(query, begun)
        if (!claimsMatch(rules, claims)) {
          const cause = new Error(namesIn(claims))
          throw new SignInError('SIGN_IN_NOT_NAMED', { cause })
        }
        return { issuer, subject: claims.sub }
      } finally {
        places.leave(begun.state)
      }
    },
    close: () => agent.close(),
  }
}

/** Who is coming back, and what has come back. */
interface Places {
  /** @throws SignInError where there is no place, or what was begun has come back before. */
  take(state: string, network: string | undefined): void
  leave(state: string): void
}

function createPlaces(): Places {
  const taken = new Map<string, string | undefined>()
  /** The oldest first. */
  const finished = new Set<string>()
  return {
    take: (state, network) => {
      if (finished.has(state)) throw refused('come back before')
      const sharing = [...taken.values()].filter((one) => one === network).length
      const isShareTaken = network !== undefined && sharing >= finishingPerNetworkMax
      if (taken.has(state) || taken.size >= finishingMax || isShareTaken) {
        throw new SignInError('SIGN_IN_BUSY')
      }
      taken.set(state, network)
    },
    leave: (state) => {
      taken.delete(state)
      finished.add(state)
      const [oldest] = finished
      if (finished.size > finishedMax && oldest !== undefined) finished.delete(oldest)
    },
  }
}

const refused = (why: string) =>
  new SignInError('SIGN_IN_REFUSED', { cause: new Error(`what was begun is ${why}`) })

/** For whoever names people: of Entra `sub` is another one for each application, and `oid` is what its directory has. */
const namesIn = ({ sub, oid }: client.IDToken): string =>
  typeof oid === 'string' ? `subject ${sub}, oid ${oid}` : `subject ${sub}`

/** Of failures that no person brings about: the issuer does not answer as one does, or its keys cannot be had. */
const codesOfIssuer: ReadonlySet<string> = new Set([
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
  'OAUTH_PARSE_ERROR',
  'OAUTH_KEY_SELECTION_FAILED',
])
/** RFC 6749 §5.2 and §4.1.2.1: it is away, or it does not take us for its client. */
const errorsOfIssuer: ReadonlySet<string> = new Set([
  'invalid_client',
  'unauthorized_client',
  'server_error',
  'temporarily_unavailable',
])

/** Whether it says nothing of who came back. What has no code never came to an answer. */
function isOfIssuer(cause: unknown): boolean {
  if (cause instanceof client.ResponseBodyError) {
    return cause.status >= 500 || errorsOfIssuer.has(cause.error)
  }
  if (cause instanceof client.WWWAuthenticateChallengeError) return true
  if (!(cause instanceof client.ClientError)) return false
  return cause.code === undefined || codesOfIssuer.has(cause.code)
}

/** No redirect is followed: an issuer is where the configuration says. */
const fetchThrough =
  (agent: Agent): client.CustomFetch =>
  async (url, { method, headers, body, signal }) => {
    const { origin, pathname, search } = new URL(url)
    const answer = await agent.request({
      origin,
      path: `${pathname}${search}`,
      method: method === 'POST' ? 'POST' : 'GET',
      headers,
      body: body instanceof URLSearchParams ? body.toString() : null,
      signal: signal ?? null,
    })
    const text = await answer.body.text()
    const fields = Object.entries(answer.headers).map(([name, value]): [string, string] => [
      name,
      String(value),
    ])
    return new Response(text === '' ? null : text, { status: answer.statusCode, headers: fields })
  }

async function discovered(
  { issuer, clientId, clientSecret }: OpenIdSignInOptions,
  customFetch: client.CustomFetch,
): Promise<client.Configuration> {
  const server = new URL(issuer)
  const configuration = await client.discovery(
    server,
    clientId,
    undefined,
    clientSecret === undefined ? client.None() : client.ClientSecretPost(clientSecret.reveal()),
    {
      [client.customFetch]: customFetch,
      timeout: timeoutSeconds,
      execute: [
        client.enableNonRepudiationChecks,
        // Which the configuration allows on loopback alone.
        // eslint-disable-next-line @typescript-eslint/no-deprecated -- its author marks it so to make it stand out
        ...(server.protocol === 'http:' ? [client.allowInsecureRequests] : []),
      ],
    },
  )
  configuration[client.customFetch] = customFetch
  return configuration
}
