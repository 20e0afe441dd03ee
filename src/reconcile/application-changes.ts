import type { DirectoryAudit } from './directory-audit.ts'
import type { ApplicationChanged } from './finding.ts'
import { KeptEvidence } from './kept-evidence.ts'

/** Whose application may act as it: credentials, owners, and what lets others add them. */
const activities =
  /certificates and secrets|credential|\bowner\b|federated|update application\b|update service principal\b|delete application|delete service principal|restore application/i

/** Others, such as tags or a display name, let nobody act as the application. */
const properties = /key|credential|password|secret|federated|owner/i

/** Collects changes of applications; which of them are watched may be known only later. */
export class ApplicationChanges {
  readonly #changes = new KeptEvidence<DirectoryAudit>()
  #records = 0

  take(audit: DirectoryAudit): void {
    this.#records += 1
    const { result = 'success' } = audit
    if (result !== 'success' || !activities.test(audit.activity) || !concernsAccess(audit)) return
    this.#changes.add(`${audit.id} ${audit.timeMs} ${audit.activity}`, audit)
  }

  get records(): number {
    return this.#records
  }

  get left(): number {
    return this.#changes.left
  }

  /** @param ids Client ids and object ids of the watched applications. */
  findings(ids: ReadonlySet<string>): readonly ApplicationChanged[] {
    return this.#changes.items
      .filter(({ targets }) =>
        targets.some(
          ({ id, appId }) =>
            (id !== undefined && ids.has(id)) || (appId !== undefined && ids.has(appId)),
        ),
      )
      .toSorted((one, other) => one.timeMs - other.timeMs)
      .map((audit) => ({ kind: 'application.changed', audit }))
  }
}

/** A plain update says which properties it changed; the other activities are about access by their names. */
function concernsAccess({ activity, targets }: DirectoryAudit): boolean {
  if (!/^update (?:application|service principal)$/i.test(activity)) return true
  return targets
    .flatMap(({ changes }) => changes)
    .some(({ name, after = '' }) => properties.test(isList(name) ? after : name))
}

/** A property whose value lists the names of those that were updated. */
const isList = (name: string): boolean => /^included updated properties$/i.test(name)
