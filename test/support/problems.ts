import { decodeJwt } from 'jose'
import { expect } from 'vitest'
import type { Answer, TestService } from './test-service.ts'

/** A problem as it must be on the wire: everything but the attempt, which is checked besides. */
export interface ProblemWords {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  /** In the body and in the header; absent where waiting does not help. */
  readonly retryAfterSeconds?: number
  readonly wwwAuthenticate?: string
  readonly allow?: string
  readonly entra?: {
    readonly errorCodes: readonly number[]
    readonly whoMustAct: string
    /** `told`: Entra's own id of the request is passed on. */
    readonly traceId?: 'told'
  }
}

/** Nothing was sent that could prove anybody. */
export const callerMissing: ProblemWords = {
  status: 401,
  code: 'caller_not_proven',
  title: 'The caller is not proven',
  detail: 'Send the caller token as "Authorization: Bearer".',
  wwwAuthenticate: 'Bearer',
}

/** One sentence for everything that can be wrong with a token: what helps the right helps the wrong. */
export const callerNotProven: ProblemWords = {
  ...callerMissing,
  detail:
    'The caller token was not accepted. It must be unexpired, from an issuer that this service ' +
    'trusts, and meant for this service. The operator finds the reason by the attempt id.',
  wwwAuthenticate: 'Bearer error="invalid_token"',
}

/** The challenge of RFC 9449 §7.1. */
export const dpopChallenge = (error: 'invalid_token' | 'invalid_dpop_proof') =>
  `DPoP error="${error}", algs="RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"`

/** To whoever sent a token without the proof that it has to come with. */
export const dpopWanted: ProblemWords = {
  ...callerNotProven,
  wwwAuthenticate: dpopChallenge('invalid_token'),
}

/** The same of a certificate. */
export const certificateNotProven: ProblemWords = {
  status: 401,
  code: 'caller_not_proven',
  title: 'The caller is not proven',
  detail:
    'The client certificate was not accepted. It must be in date, for clients, and from a CA that this ' +
    'service trusts for callers. The operator finds the reason by the attempt id.',
  wwwAuthenticate: 'Bearer',
}

/** Asserts status, headers and every word of a problem (RFC 9457). */
export function expectProblem(answer: Answer, words: ProblemWords): void {
  const { wwwAuthenticate, allow, entra, ...members } = words
  const attempt = answer.headers['countersign-attempt']
  expect(answer.body).toEqual({
    ...members,
    type: `urn:countersign:problem:${words.code}`,
    ...(attempt === undefined ? {} : { attempt }),
    ...(entra === undefined ? {} : { entra: entraMember(entra) }),
  })
  expect(answer.status).toBe(words.status)
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.headers['retry-after']).toBe(words.retryAfterSeconds?.toString())
  expect(answer.headers['www-authenticate']).toBe(wwwAuthenticate)
  expect(answer.headers.allow).toBe(allow)
}

const entraMember = ({ traceId, ...entra }: NonNullable<ProblemWords['entra']>) => ({
  ...entra,
  ...(traceId === undefined ? {} : { traceId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string }),
})

/** Shapes that no answer to a refused caller may have, whoever's they are. */
const privateShapes = [
  /eyJ/, // any JWT
  /\bat .+:\d+:\d+/, // a line of a stack
  /(?<!openapi)\.(ts|mjs|db|yaml|pem)\b/,
  /\/(tmp|home|usr|src|var)\//,
  /node:/,
  /AADSTS|AKV\d|Trace ID/, // texts of Entra's and the vault's
]

/**
 * Asserts that a refused caller learns nothing: no name, id or address of what is behind the service,
 * no path, no stack, no token, and nothing of what it sent.
 */
export function expectNothingPrivate(
  { text, headers }: Pick<Answer, 'text' | 'headers'>,
  service: TestService,
  sent: { readonly token?: string; readonly values?: readonly string[] } = {},
): void {
  const told = `${JSON.stringify(headers)}\n${text}`
  const texts = [
    ...behindTheService(service),
    ...(sent.token === undefined ? [] : textsOfToken(sent.token)),
    ...(sent.values ?? []),
  ]
  expect(texts.filter((one) => told.includes(one))).toEqual([])
  expect(privateShapes.filter((shape) => shape.test(told))).toEqual([])
}

function behindTheService({ emulator, folder }: TestService): readonly string[] {
  const { world, endpoints } = emulator
  return [
    folder,
    endpoints.caFile,
    ...Object.keys(endpoints.vaults),
    ...Object.values(endpoints.vaults).map((url) => new URL(url).host),
    ...Object.values(endpoints.issuers),
    ...Object.values(endpoints.managedIdentities).map(({ header }) => header),
    ...world.principals.flatMap(({ objectId, clientId }) => [objectId, clientId]),
    ...world.applications.flatMap(({ objectId, presentIn }) => [
      objectId,
      ...presentIn.map((place) => place.objectId),
    ]),
    ...emulator.vaults.flatMap(({ store }) =>
      store.list().flatMap(({ name, versions }) => [name, ...versions.map((one) => one.version)]),
    ),
  ]
}

/** The token, its parts, and every text in its claims that is long enough to be told from a word. */
function textsOfToken(token: string): readonly string[] {
  return [token, ...token.split('.').filter((part) => part !== ''), ...textsIn(claimsOf(token))]
}

function claimsOf(token: string): unknown {
  try {
    return decodeJwt(token)
  } catch {
    // What is no JWT has no claims; the whole of it is looked for all the same.
    return {}
  }
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.length > 6 ? [value] : []
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}
