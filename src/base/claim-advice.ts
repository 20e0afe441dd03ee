import type { ClaimRule } from './claim-rules.ts'
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

/** Their tokens hold texts alone, ids included; times are the exception, and nobody's proof. */
const textsOnly: ReadonlySet<string> = new Set(['github', 'gitlab'])

/**
 * Reports what is wrong with claims that are well formed: what can never match, and what a stranger
 * can come to match.
 *
 * @param issuerKind Whose tokens they are compared with; undefined when that cannot be told.
 */
export function adviseOnClaims(
  part: YamlPart,
  rules: readonly ClaimRule[],
  issuerKind: string | undefined,
): void {
  const named = new Set(rules.map(({ claim }) => claim))
  for (const { claim, anyOf } of rules) {
    const at = part.at(claim)
    if (neverPlain.has(claim)) {
      at.report(
        'claim-is-a-list',
        `\`${at.name}\` is a list or a map in tokens, and those never match: name another claim.`,
      )
    } else if (
      textsOnly.has(issuerKind ?? '') &&
      anyOf.some((value) => typeof value !== 'string')
    ) {
      at.report(
        'claim-is-a-text',
        `\`${at.name}\` is a text in tokens of ${issuerKind ?? ''}, and only a text matches it: put it in quotes.`,
      )
    }
    const id = idOfName.get(claim)
    if (id !== undefined && !named.has(id)) {
      at.report(
        'name-without-id',
        `\`${at.name}\` is a name that a stranger can register after its owner: name \`${id}\` too.`,
        'warning',
      )
    }
  }
}
