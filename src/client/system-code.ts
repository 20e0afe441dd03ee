/** `ENOENT`, `ECONNREFUSED`, `CERT_HAS_EXPIRED`: of the error, or of what it was made from. No token looks like it. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,63}$/.test(code)) return code
  return systemCodeOf(error.cause)
}
