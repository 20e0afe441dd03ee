import { isPattern } from '../base/claim-rules.ts'
import { matchedClaimForm } from './forms.ts'
import type { YamlPart } from './yaml-part.ts'

/**
 * Names that their owner can give up and a stranger can register again, each with the claim that
 * stays with the owner.
 */
const idOfName: ReadonlyMap<string, string> = new Map([
  // GitHub
  ['repository', 'repository_id'],
  ['repository_owner', 'repository_owner_id'],
  ['enterprise', 'enterprise_id'],
  ['actor', 'actor_id'],
  // GitLab
  ['project_path', 'project_id'],
  ['namespace_path', 'namespace_id'],
  ['user_login', 'user_id'],
  ['user_email', 'user_id'],
])

/** Claims that are lists or objects wherever they occur, so that no value matches them. */
const neverPlain: ReadonlySet<string> = new Set([
  'roles',
  'groups',
  'wids',
  'amr',
  'groups_direct',
  'kubernetes.io',
])

/** All that a certificate says of its holder, each a text. */
const ofCertificates: ReadonlySet<string> = new Set(['uri', 'dns', 'email', 'thumbprint'])

/** Their tokens hold texts alone, ids included; times are the exception, and nobody's proof. */
const textsOnly: ReadonlySet<string> = new Set(['github', 'gitlab'])

/**
 * Reports what is wrong with claims that are well formed: what can never match, and what a stranger
 * can come to match.
 *
 * @param issuerKind Whose tokens they are compared with; undefined when that cannot be told.
 */
export function adviseOnClaims(claims: YamlPart, issuerKind: string | undefined): void {
  const parts = claims.parts()
  const named = new Set(parts.map(([claim]) => claim))
  for (const [claim, part] of parts) {
    if (issuerKind === 'mtls' && !ofCertificates.has(claim)) reportOfNoCertificate(part)
    else if (neverPlain.has(claim)) reportList(part)
    else if (textsOnly.has(issuerKind ?? '') && !isText(part)) reportType(part, issuerKind ?? '')
    const id = idOfName.get(claim)
    if (id !== undefined && !named.has(id)) reportName(part, id)
  }
}

/** Whatever is no claim at all has been reported as that. */
const isText = (part: YamlPart) =>
  part.sound(matchedClaimForm)?.every((one) => typeof one === 'string' || isPattern(one)) ?? true

function reportOfNoCertificate(part: YamlPart): void {
  const message = `\`${part.name}\` is in no certificate: name its uri, dns, email or thumbprint, whichever \`identity\` of the issuer says.`
  part.report('claim-of-no-certificate', message)
}

function reportList(part: YamlPart): void {
  const message = `\`${part.name}\` is a list or a map in tokens, and those never match: name another claim.`
  part.report('claim-is-a-list', message)
}

function reportType(part: YamlPart, kind: string): void {
  const message = `\`${part.name}\` is a text in tokens of ${kind}, and only a text matches it: put it in quotes.`
  part.report('claim-is-a-text', message)
}

function reportName(part: YamlPart, id: string): void {
  const message = `\`${part.name}\` is a name that a stranger can register after its owner: name \`${id}\` too.`
  part.report('name-without-id', message, 'warning')
}
