/**
 * Audiences that tokens for other services have too. Whoever gets such a token, for whatever reason,
 * could show it to us.
 */
const shared: readonly RegExp[] = [
  // Entra's workload identity federation, in each cloud
  /^api:\/\/AzureADTokenExchange(?:USGov|China)?$/i,
  // GitHub's default: the owner of the repository; GitLab's: the instance
  /^https:\/\/github\.com(?:\/[^/]+)?\/?$/i,
  /^https:\/\/gitlab\.com\/?$/i,
  // The API server of every cluster
  /^(?:https:\/\/)?kubernetes\.default\.svc(?:[.:/].*)?$/i,
  // Other clouds and signing services that take CI tokens
  /^sts\.amazonaws\.com$/i,
  /^sigstore$/i,
  // Azure's own resources: a token for one of them is worth more than anything that we give
  /^https:\/\/(?:management\.azure\.com|management\.core\.windows\.net|graph\.microsoft\.com|vault\.azure\.net|storage\.azure\.com)\/?$/i,
]

/** @param issuer Its own URL as audience is the default of clusters and GitLab instances. */
export function isSharedAudience(audience: string, issuer?: string): boolean {
  return audience === issuer || shared.some((form) => form.test(audience))
}
