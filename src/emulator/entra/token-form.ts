import { z } from 'zod'
import { passed, refused, type Checked } from './refusal.ts'

/** The parameters that the token endpoint looks at; all others are ignored, as Entra ignores them. */
export interface TokenForm {
  readonly clientId: string
  readonly scope: string
  readonly clientAssertion: string
  /** `claims` says that the client can handle claims challenges (`xms_cc`: `cp1`). */
  readonly isCapable: boolean
}

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * A client_credentials request that authenticates with an assertion.
 *
 * @param contentType A body that does not call itself a form counts as empty, as at Entra.
 */
export function parseTokenForm(contentType: string | undefined, body: Buffer): Checked<TokenForm> {
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType ?? '')
  const parameters = new URLSearchParams(isForm ? body.toString('utf8') : '')
  if (repeats(parameters)) {
    return refused(9002313, 'Invalid request. Request is malformed or invalid.')
  }

  const grantType = parameters.get('grant_type')
  if (!grantType) return missing('grant_type')
  if (grantType !== 'client_credentials') {
    return refused(70003, `The app requested an unsupported grant type '${grantType}'.`)
  }
  const clientId = parameters.get('client_id')
  if (!clientId) return missing('client_id')
  if (parameters.has('resource')) {
    return refused(901002, "The 'resource' request parameter is not supported.")
  }
  const scope = parameters.get('scope')
  if (!scope) {
    return refused(
      90014,
      "The required field 'scope' is missing from the credential. Ensure that you have all the " +
        'necessary parameters for the login request.',
    )
  }

  if (parameters.has('client_secret')) return secretRefused(clientId)
  const clientAssertion = parameters.get('client_assertion')
  if (!clientAssertion) {
    const either = "'client_assertion' or 'client_secret'"
    return refused(7000218, `The request body must contain the following parameter: ${either}.`)
  }
  const assertionType = parameters.get('client_assertion_type')
  if (!assertionType) return missing('client_assertion_type')
  if (assertionType !== jwtBearer) {
    return refused(9002313, 'Invalid request. Request is malformed or invalid.')
  }
  const claims = parseClaims(parameters.get('claims') ?? '{}')
  if (claims === undefined) {
    return refused(9002313, 'Invalid request. Request is malformed or invalid.')
  }
  const capabilities = claims.access_token?.xms_cc?.values ?? []
  const isCapable = capabilities.some((one) => one.toLowerCase() === 'cp1')
  return passed({ clientId, scope, clientAssertion, isCapable })
}

/** What is looked at of the `claims` parameter (OpenID Connect Core §5.5); the rest is ignored. */
const claimsSchema = z.object({
  access_token: z
    .object({ xms_cc: z.object({ values: z.array(z.string()).optional() }).optional() })
    .optional(),
})

function parseClaims(text: string): z.output<typeof claimsSchema> | undefined {
  try {
    return claimsSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

const repeats = (parameters: URLSearchParams) => new Set(parameters.keys()).size < parameters.size

const missing = (parameter: string) =>
  refused(900144, `The request body must contain the following parameter: '${parameter}'.`)

/** No application of the emulator has a secret, so every secret is a wrong one. */
const secretRefused = (clientId: string) =>
  refused(
    7000215,
    'Invalid client secret provided. Ensure the secret being sent in the request is the client ' +
      `secret value, not the client secret ID, for a secret added to app '${clientId}'.`,
  )
