/**
 * The trust domain of a SPIFFE ID, as `spiffe://DOMAIN`; undefined for what is none, because a path
 * that is not normal could be taken for another one (SPIFFE-ID §2).
 */
export function trustDomainIn(id: unknown): string | undefined {
  if (typeof id !== 'string' || id.length > 2048) return undefined
  const [, domain, path = ''] =
    /^(spiffe:\/\/[a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/.exec(id) ?? []
  return /\/\.{1,2}(?:\/|$)/.test(path) ? undefined : domain
}
