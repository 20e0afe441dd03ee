/**
 * Audiences that tokens for other services have too. Whoever gets such a token, for whatever reason,
 * could show it to us: the service it was meant for above all.
 */
const shared: readonly RegExp[] = [
  // Entra's workload identity federation, in each cloud, and as v2 tokens name it
  /^api:\/\/AzureADTokenExchange[A-Za-z]*$/i,
  /^fb60f99c-7a34-4190-8149-302f77469936$/i,
  // What CI systems put there unless told: the owner of the repository, the organisation, the instance
  /^https:\/\/github\.com(?:\/[^/]+)?\/?$/i,
  /^https:\/\/[^/]+\.ghe\.com(?:\/[^/]+)?\/?$/i,
  /^https:\/\/gitlab\.com\/?$/i,
  /^https:\/\/(?:buildkite|vercel)\.com(?:\/[^/]+)?\/?$/i,
  // The API server of every cluster; k3s and RKE2 add their own names
  /^(?:https:\/\/)?kubernetes\.default(?:\.svc(?:[.:/].*)?)?$/i,
  /^(?:k3s|rke2)$/,
  // Other clouds: AWS, Google's federation
  /^sts\.amazonaws\.com(?:\.cn)?$/i,
  /^(?:https:)?\/\/iam\.googleapis\.com\//i,
  // Vault and Consul, as HCP Terraform, Nomad and the charts of Kubernetes ask for them
  /^vault$/,
  /^(?:vault|consul)\.io$/i,
  /^[a-z]+\.workload\.identity$/i,
  // Signing services and registries that take CI tokens
  /^sigstore$/i,
  /^(?:test)?pypi$/i,
  /^(?:rubygems\.org|crates\.io|npm:.*)$/i,
  // Azure's own resources: a token for one of them is worth more than anything that we give
  /^https:\/\/management\.(?:azure\.com|core\.windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)\/?$/i,
  /^https:\/\/(?:(?:dod-)?graph\.microsoft\.(?:com|us)|microsoftgraph\.chinacloudapi\.cn|graph\.windows\.net)\/?$/i,
  /^https:\/\/(?:vault\.azure\.net|vault\.usgovcloudapi\.net|vault\.azure\.cn|storage\.azure\.com)\/?$/i,
  // The same four, and the directory, as v2 tokens name them
  /^0000000[23]-0000-0000-c000-000000000000$/,
  /^797f4846-ba00-4fd7-ba43-dac1f8f63013$/i,
  /^cfa8b339-82a2-471a-a3c9-0fc0be7a4093$/i,
  /^e406a681-f3d4-42a8-90b6-c2b029497af1$/i,
]

/** What tokens of service connections are for, always. */
export const azureDevOpsAudience = 'api://AzureADTokenExchange'

/** @param issuer Its own URL as audience is the default of clusters and GitLab instances. */
export function isSharedAudience(audience: string, issuer?: string): boolean {
  if (shared.some((form) => form.test(audience))) return true
  return issuer !== undefined && isDefaultOf(issuer, audience)
}

/** A GitHub server is the issuer at `https://HOST/_services/token`, and its owners are below the host. */
function isDefaultOf(issuer: string, audience: string): boolean {
  if (bare(audience) === bare(issuer)) return true
  const server = /^(https:\/\/[^/]+)\/_services\/token$/.exec(issuer)?.[1]
  return server !== undefined && /^\/[^/]+$/.test(restAfter(server, bare(audience)))
}

const bare = (url: string) => url.replace(/\/$/, '')

const restAfter = (start: string, text: string) =>
  text.startsWith(start) ? text.slice(start.length) : ''
