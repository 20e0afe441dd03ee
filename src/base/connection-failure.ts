import { errors } from 'undici'

const codesBeforeSending = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
])

/** Whether the failure came before a connection stood, so that nothing can have been sent. */
export function connectionFailed(error: unknown): boolean {
  if (error instanceof errors.ConnectTimeoutError) return true
  if (error instanceof AggregateError) return error.errors.every(connectionFailed)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && codesBeforeSending.has(code)
}
