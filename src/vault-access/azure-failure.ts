import { isRestError } from '@azure/core-rest-pipeline'
import { TransportError } from './undici-http-client.ts'

/** What a vault or Azure Monitor, or the way to it, did instead of answering: the facts, without any of its text. */
export type AzureFailure =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** `error.innererror.code`, or else `error.code`, of the body; undefined of a body in no such form. */
      readonly code: string | undefined
    }
  | { readonly kind: 'no-connection' }
  | { readonly kind: 'no-answer' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'no-credential' }
  | { readonly kind: 'unrecognised' }

/** Total: whatever an Azure SDK may throw has a place here. The SDK's error is the log's `cause`. */
export function azureFailureFrom(error: unknown): AzureFailure {
  if (isRestError(error) && error.statusCode !== undefined) {
    return answeredFailure(error.statusCode, error.details)
  }
  if (error instanceof TransportError) return transportFailureFrom(error)
  if (!(error instanceof Error)) return { kind: 'unrecognised' }
  switch (error.name) {
    case 'AbortError':
    case 'TimeoutError':
      return { kind: 'timeout' }
    // Named instead of imported: `@azure/identity` takes longer to load than the rest of the service.
    case 'AuthenticationError':
    case 'AuthenticationRequiredError':
    case 'AggregateAuthenticationError':
    case 'CredentialUnavailableError':
      return { kind: 'no-credential' }
    default:
      return { kind: 'unrecognised' }
  }
}

/** Who says 408, or 499 as some proxies do, has waited for somebody, and cannot tell what was done meanwhile. */
const answeredFailure = (status: number, details: unknown): AzureFailure =>
  status === 408 || status === 499
    ? { kind: 'timeout' }
    : { kind: 'answered', status, code: codeOf(details) }

function transportFailureFrom(error: TransportError): AzureFailure {
  if (error.sent === 'no') return { kind: 'no-connection' }
  const name = error.cause instanceof Error ? error.cause.name : undefined
  return name === 'AbortError' || name === 'TimeoutError' || name === 'HeadersTimeoutError'
    ? { kind: 'timeout' }
    : { kind: 'no-answer' }
}

/** `innererror` on the wire; the SDK spells it `innerError` after it has parsed the body. */
function codeOf(details: unknown): string | undefined {
  const error = memberOf(details, 'error')
  const inner = memberOf(error, 'innererror') ?? memberOf(error, 'innerError')
  const code = memberOf(inner, 'code') ?? memberOf(error, 'code')
  return typeof code === 'string' ? code : undefined
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
