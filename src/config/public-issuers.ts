/** GitHub's and GitLab's own clouds. */
export const publicGithub = 'https://token.actions.githubusercontent.com'
export const publicGitlab = 'https://gitlab.com'

/**
 * Issuers where everybody can have tokens, and the claims that say whose a token is: ids before names,
 * because a name can be given up and taken by a stranger. An issuer that somebody has to themselves, as
 * each cluster and each organisation of CircleCI or Vercel does, is none of these.
 */
const owners: ReadonlyMap<string, readonly string[]> = new Map([
  [
    publicGithub,
    [
      'repository_owner_id',
      'repository_id',
      'enterprise_id',
      'repository_owner',
      'repository',
      'enterprise',
    ],
  ],
  [publicGitlab, ['namespace_id', 'project_id', 'namespace_path', 'project_path']],
  ['https://agent.buildkite.com', ['organization_slug', 'organization_id', 'pipeline_id']],
  [
    'https://app.terraform.io',
    [
      'terraform_organization_id',
      'terraform_project_id',
      'terraform_workspace_id',
      'terraform_organization_name',
    ],
  ],
  ['https://oidc.circleci.com', ['oidc.circleci.com/org-id', 'oidc.circleci.com/project-id']],
  ['https://oidc.codefresh.io', ['account_id', 'pipeline_id', 'account_name']],
  ['https://oidc.vercel.com', ['owner_id', 'project_id']],
  // People and Google's service accounts: who one is, is all that there is to say.
  ['https://accounts.google.com', ['sub', 'email', 'hd']],
  ['https://oauth2.sigstore.dev/auth', ['sub', 'email']],
])

/**
 * @param issuer As `iss` has it.
 * @returns At least one claim; undefined for an issuer that is not known to serve everybody.
 */
export const ownerClaimsAt = (issuer: string): readonly string[] | undefined => owners.get(issuer)
