import type { RevocationMade, RevokedOnRecord } from '../ledger/entry.ts'
import type { StandingRevocations } from '../ledger/standing-revocations.ts'

/** What stands, ready for looking up. One value, so that a decision sees one epoch, whole. */
export interface Revocations extends StandingRevocations {
  /** Texts of {@link nameOf}. */
  readonly names: ReadonlySet<string>
}

/** What is known of something that may be revoked; what is absent does not matter to it. */
export interface RevocableFacts {
  readonly issuer?: string | undefined
  /** Of a caller of the issuer. */
  readonly subject?: string | undefined
  readonly grant?: string | undefined
  readonly application?: string | undefined
  readonly tenant?: string | undefined
  /** The key version that signs, or has signed. */
  readonly keyId?: string | undefined
}

export const revocationsFrom = (standing: StandingRevocations): Revocations => ({
  ...standing,
  ...stopping(standing.made.map(({ revoked }) => revoked)),
})

/** As if nothing but these stood. */
export const stopping = (revoked: readonly RevokedOnRecord[]): Pick<Revocations, 'names'> => ({
  names: new Set(revoked.map(nameOf)),
})

/** Whether any of this is stopped. */
export function isRevoked({ names }: Pick<Revocations, 'names'>, facts: RevocableFacts): boolean {
  if (names.size === 0) return false
  return revocableIn(facts).some((one) => names.has(nameOf(one)))
}

/** The one that stands for just this; undefined when there is none. */
export const standingFor = (
  { made }: StandingRevocations,
  revoked: RevokedOnRecord,
): RevocationMade | undefined => made.find((one) => nameOf(one.revoked) === nameOf(revoked))

function revocableIn(facts: RevocableFacts): readonly RevokedOnRecord[] {
  const { issuer, subject, grant, application, tenant, keyId } = facts
  const isCaller = issuer !== undefined && subject !== undefined
  return [
    ...(isCaller ? [{ what: 'caller', issuer, subject } as const] : []),
    ...(issuer === undefined ? [] : [{ what: 'issuer', issuer } as const]),
    ...(grant === undefined ? [] : [{ what: 'grant', grant } as const]),
    ...(application === undefined ? [] : [{ what: 'application', application } as const]),
    ...(tenant === undefined ? [] : [{ what: 'tenant', tenant } as const]),
    ...(keyId === undefined ? [] : [{ what: 'key-version', keyId } as const]),
  ]
}

/** Two have the same only if they are the same: of all parts only the last can hold a line feed. */
function nameOf(revoked: RevokedOnRecord): string {
  switch (revoked.what) {
    case 'caller':
      return `caller\n${revoked.issuer}\n${revoked.subject}`
    case 'grant':
      return `grant\n${revoked.grant}`
    case 'issuer':
      return `issuer\n${revoked.issuer}`
    case 'application':
      return `application\n${revoked.application}`
    case 'tenant':
      return `tenant\n${revoked.tenant}`
    case 'key-version':
      return `key-version\n${revoked.keyId}`
  }
}
