import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { parseScope, type Scope } from '../base/ids.ts'
import { readBody } from './bounded-body.ts'
import { RequestProblem } from './request-problem.ts'
import { type TokenRequestFault, TokenRequestProblem } from './token-request-problem.ts'

/** A caller token of 16 KiB, claims and a scope, percent-encoded; as much as headers may have. */
const bodyBytesMax = 32 * 1024

/** Of a token request, each sent once; those without a value are as if they were not sent (RFC 6749 §3.2). */
export type TokenForm = Readonly<Partial<Record<string, string>>>

/**
 * Reads the parameters of a token request (RFC 6749 §4.4.2). What proves more than a caller has to prove
 * here is refused without a look at its value: `Authorization`, before the body is read, and a secret in
 * the body.
 *
 * @throws RequestProblem | TokenRequestProblem
 */
export async function readTokenForm(request: IncomingMessage): Promise<TokenForm> {
  refuseAuthorization(request)
  if (!isForm(request.headers['content-type'])) {
    throw new RequestProblem(
      'media_type_unsupported',
      'Send the body as application/x-www-form-urlencoded.',
    )
  }
  const body = await readBody(request, bodyBytesMax)
  const sent = [...new URLSearchParams(body.toString('utf8'))].filter(([, value]) => value !== '')
  refuseRepeated(sent.map(([name]) => name))
  const form: TokenForm = Object.fromEntries(sent)
  if (Object.hasOwn(form, 'client_secret')) throw tooStrong()
  return form
}

const isForm = (contentType: string | undefined) =>
  contentType !== undefined && /^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)

function refuseAuthorization({ headers: { authorization } }: IncomingMessage): void {
  if (authorization === undefined) return
  // The answer names the scheme that was used (RFC 6749 §5.2), which is no part of the credential.
  throw tooStrong(/^basic\b/i.test(authorization) ? 'Basic realm="countersign"' : 'Bearer')
}

const tooStrong = (challenge?: string) =>
  new TokenRequestProblem(
    'credential_refused',
    'Send no secret and no Authorization header here: neither is looked at. What proves the caller is ' +
      'its own token, as a parameter, or its client certificate.',
    challenge,
  )

function refuseRepeated(names: readonly string[]): void {
  const repeated = firstRepeated(names)
  if (repeated === undefined) return
  // Other servers take several of these two (RFC 8693 §2.1, RFC 8707 §2).
  if (repeated === 'audience' || repeated === 'resource') {
    throw new TokenRequestProblem('target_invalid', 'A token is for one audience and one resource.')
  }
  throw new RequestProblem('request_invalid', 'Send each parameter once.')
}

/** Looks at each once: anybody may send thousands of them. */
function firstRepeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>()
  return names.find((name) => {
    if (seen.has(name)) return true
    seen.add(name)
    return false
  })
}

/** What it is that is wrong when one of these is; of the others OAuth says no more. */
const faultOfParameter: Readonly<Record<string, TokenRequestFault>> = {
  client_id: 'client_invalid',
  client_assertion_type: 'credential_refused',
  scope: 'scope_invalid',
  resource: 'target_invalid',
  audience: 'target_invalid',
}

/**
 * Refuses a password too: before the grant type is known to be another it may be the one of passwords.
 *
 * @throws RequestProblem | TokenRequestProblem that names the first parameter that breaks the schema.
 */
export function parametersFrom<Schema extends z.ZodType>(
  schema: Schema,
  form: TokenForm,
): z.output<Schema> {
  if (Object.hasOwn(form, 'password')) throw tooStrong()
  const parsed = schema.safeParse(form)
  if (parsed.success) return parsed.data
  const name = String(parsed.error.issues[0]?.path[0])
  if (form[name] === undefined) {
    throw new RequestProblem('request_invalid', `The parameter ${name} is missing.`)
  }
  const detail = `The parameter ${name} is not one that is taken here.`
  const fault = faultOfParameter[name]
  if (fault === undefined) throw new RequestProblem('request_invalid', detail)
  throw new TokenRequestProblem(fault, detail)
}

/** @throws RequestProblem when one of the two comes without the other. */
export function checkAssertionType(sent: {
  readonly client_assertion_type?: string | undefined
  readonly client_assertion?: string | undefined
}): void {
  if ((sent.client_assertion === undefined) === (sent.client_assertion_type === undefined)) return
  throw new RequestProblem(
    'request_invalid',
    'The parameters client_assertion and client_assertion_type come together.',
  )
}

/** @throws TokenRequestProblem when it is not one resource and /.default. */
export function tokenScopeFrom(text: string): Scope {
  const scope = parseScope(text)
  if (scope !== undefined) return scope
  throw new TokenRequestProblem(
    'scope_invalid',
    'The scope must be one resource and /.default, such as https://vault.azure.net/.default.',
  )
}
