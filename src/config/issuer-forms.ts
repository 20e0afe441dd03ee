import { callerAlgorithms } from '../base/caller-algorithms.ts'
import { z } from 'zod'
import {
  claimsForm,
  flag,
  guidPattern,
  listOf,
  namedMapOf,
  oneOf,
  parsed,
  tenantIdForm,
  text,
  wholeNumber,
} from '../yaml/forms.ts'
import { parseIssuerName, parseOrganization } from '../base/ids.ts'
import { publicGithub, publicGitlab } from './public-issuers.ts'
import { azureDevOpsAudience } from './shared-audience.ts'

/** A managed identity's token lives 24 hours and is valid 5 minutes before; with some to spare. */
const maxTokenSecondsDefault = 90_000
/** GitHub's tokens live minutes; one that claims more than an hour is not one of a job. */
const maxTokenSecondsOfGithub = 3600

const longestLife = (defaultSeconds: number) =>
  wholeNumber(60, 604_800)
    .default(defaultSeconds)
    .describe('Longest exp - iat of a token that is accepted.')

const common = {
  audience: text('the audience of tokens that are meant for this service')
    .optional()
    .describe('What aud of a token must contain. Absent: publicUrl.'),
  acceptSharedAudience: flag()
    .default(false)
    .describe('Accepts an audience that other services share; every entry will say so.'),
  require: claimsForm
    .optional()
    .describe('Claims that every token of this issuer must have, before any grant is looked at.'),
  replay: oneOf(['allowed', 'once'])
    .default('allowed')
    .describe('once: each token is good for one request that is granted.'),
  algorithms: listOf(oneOf(callerAlgorithms), `a list of ${callerAlgorithms.join(', ')}`)
    .default(['RS256'])
    .describe('Signature algorithms that are accepted.'),
  maxTokenSeconds: longestLife(maxTokenSecondsDefault),
  boundTokens: oneOf(['certificate', 'dpop', 'either'])
    .optional()
    .describe(
      'What every token must be bound to by cnf: certificate (RFC 8705), dpop (RFC 9449), or either. Absent: bearer tokens count too; those that are bound need their proof in any case.',
    ),
  privateAddress: oneOf(['accept', 'refuse'])
    .optional()
    .describe(
      'Whether the host of its keys is asked when its name leads into a private network. Absent: accept for kubernetes and spiffe, and for entra and azure-devops in a cloud of your own; refuse for others.',
    ),
}

const issuerUrl = () => parsed('an https URL, exactly as iss has it', parseIssuerUrl, '^https://')

const issuerDescription = 'Compared with iss character by character.'

const openId = {
  jwksUri: parsed('an https URL', parseIssuerUrl, '^https://')
    .optional()
    .describe("Where the issuer's keys are. Absent: found through its discovery document."),
  ...common,
}

export const githubForm = z.strictObject({
  kind: z.literal('github'),
  issuer: issuerUrl().default(publicGithub).describe(issuerDescription),
  ...openId,
  maxTokenSeconds: longestLife(maxTokenSecondsOfGithub),
})

export const gitlabForm = z.strictObject({
  kind: z.literal('gitlab'),
  issuer: issuerUrl().default(publicGitlab).describe(issuerDescription),
  ...openId,
})

export const kubernetesForm = z.strictObject({
  kind: z.literal('kubernetes'),
  issuer: issuerUrl().describe(issuerDescription),
  ...openId,
})

export const oidcForm = z.strictObject({
  kind: z.literal('oidc'),
  issuer: issuerUrl().describe(issuerDescription),
  ...openId,
})

export const entraForm = z.strictObject({
  kind: z.literal('entra'),
  tenants: listOf(tenantIdForm, 'a list of tenant GUIDs').describe(
    'Tenants whose applications and managed identities may call.',
  ),
  ...common,
})

/** What the policies of a tenant share in `iss`: tenants that put the policy there too have another form. */
const b2cIssuer = '^https://[^?#]+/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/v2\\.0/$'

/** B2C's own default; up to a day can be set. */
const maxTokenSecondsOfB2c = 3600

export const entraB2cForm = z.strictObject({
  kind: z.literal('entra-b2c'),
  issuer: parsed(
    'https://HOST/TENANT/v2.0/ with the GUID of the tenant, exactly as iss has it',
    (written) => (new RegExp(b2cIssuer).test(written) ? parseIssuerUrl(written) : undefined),
    b2cIssuer,
  ).describe(issuerDescription),
  policies: listOf(
    text('the name of a policy, such as B2C_1_signin', /^[Bb]2[Cc]_1[Aa]?_[A-Za-z0-9_-]{1,64}$/),
    'a list of policies',
  ).describe('User flows and custom policies whose tokens count; case makes no difference.'),
  ...common,
  audience: common.audience
    .unwrap()
    .describe('Client id of the application that stands for this service in the tenant.'),
  maxTokenSeconds: longestLife(maxTokenSecondsOfB2c),
})

export const azureDevOpsForm = z.strictObject({
  kind: z.literal('azure-devops'),
  organization: parsed('the GUID of an organisation', parseOrganization, guidPattern).describe(
    'Id of the organisation, which is in the iss of its tokens.',
  ),
  connectedTenant: tenantIdForm
    .optional()
    .describe(
      'The Entra tenant of the organisation, which issues tokens of newer service connections. Absent: only those of Azure DevOps itself count.',
    ),
  issuer: issuerUrl()
    .optional()
    .describe(`${issuerDescription} Absent: the one of Azure DevOps for the organisation.`),
  ...common,
  audience: common.audience
    .unwrap()
    .default(azureDevOpsAudience)
    .describe('What aud of a token must contain: nobody can ask Azure DevOps for another one.'),
})

const trustDomainForm = () =>
  text('the name of a trust domain, such as prod.example', /^[a-z0-9._-]{1,255}$/)

export const spiffeForm = z.strictObject({
  kind: z.literal('spiffe'),
  trustDomain: trustDomainForm().describe('What follows spiffe:// in the ids of its workloads.'),
  bundleUrl: parsed('an https URL', parseIssuerUrl, '^https://').describe(
    'Where its trust bundle is (https_web).',
  ),
  ...common,
  algorithms: listOf(
    oneOf(callerAlgorithms.filter((name) => name !== 'EdDSA')),
    'a list of RS256, ES256 and the like',
  )
    .default(['RS256', 'ES256'])
    .describe('Signature algorithms that are accepted.'),
})

export const mtlsForm = z.strictObject({
  kind: z.literal('mtls'),
  caFile: text('the path of a PEM file').describe(
    'CA certificates of its own, relative to this file: each of them is trusted, for this issuer alone.',
  ),
  identity: oneOf(['uri', 'dns', 'email', 'thumbprint']).describe(
    'What of a certificate says who its holder is: the one subject alternative name of that kind, or the SHA-256 of all of it.',
  ),
  trustDomain: trustDomainForm()
    .optional()
    .describe('With identity: uri, what follows spiffe:// in it. Absent: any URI counts.'),
  require: common.require.describe(
    'Claims that every certificate of this issuer must have, before any grant is looked at.',
  ),
})

const issuerForm = z.discriminatedUnion(
  'kind',
  [
    githubForm,
    gitlabForm,
    kubernetesForm,
    azureDevOpsForm,
    spiffeForm,
    oidcForm,
    entraForm,
    entraB2cForm,
    mtlsForm,
  ],
  {
    error:
      'a map that begins with kind: github, gitlab, kubernetes, azure-devops, spiffe, oidc, entra, entra-b2c or mtls',
  },
)

export const issuersForm = namedMapOf(
  parseIssuerName,
  issuerForm,
  'a map with at least one issuer',
).describe('Whose tokens prove who a caller is, each under a name of your choice.')

export type IssuerForm = z.output<typeof issuerForm>
export type IssuersForm = z.output<typeof issuersForm>

/** Kept as written: issuers are compared as texts (OpenID Connect Core §2). */
function parseIssuerUrl(written: string): string | undefined {
  const url = URL.parse(written)
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return undefined
  return url.search === '' && url.hash === '' ? written : undefined
}
