import type { DirectoryAudit } from './directory-audit.ts'
import type { ApplicationChanged, Undecided } from './finding.ts'
import { KeptEvidence } from './kept-evidence.ts'
import { UndecidedCounts } from './undecided.ts'

/** Whose application may act as it: credentials, owners, and what lets others add them. */
const activities =
  /certificates and secrets|credential|\bowner\b|federated|update application\b|update service principal\b|delete application|delete service principal|restore application/i

/** Others, such as tags or a display name, let nobody act as the application. */
const properties = /key|credential|password|secret|federated|owner/i

/** Collects changes of watched applications, and of those of which nobody can tell whether they are watched. */
export class ApplicationChanges {
  readonly #watched: ReadonlySet<string>
  readonly #changes = new KeptEvidence<DirectoryAudit>()
  /** Of applications that the record does not name by their client id: when. */
  readonly #ofUnknown = new KeptEvidence<number>()

  /** @param watched Client ids and object ids of applications. */
  constructor(watched: ReadonlySet<string>) {
    this.#watched = watched
  }

  /** Whether there is an application whose changes would be seen. */
  get watchesAny(): boolean {
    return this.#watched.size > 0
  }

  take(audit: DirectoryAudit): void {
    const { result = 'success' } = audit
    if (result !== 'success' || !activities.test(audit.activity) || !concernsAccess(audit)) return
    const identity = `${audit.id} ${audit.timeMs} ${audit.activity}`
    if (this.#isOfWatched(audit)) this.#changes.add(identity, audit)
    else if (!tellsClientId(audit)) this.#ofUnknown.add(identity, audit.timeMs)
  }

  get left(): number {
    return this.#changes.left + this.#ofUnknown.left
  }

  findings(): readonly ApplicationChanged[] {
    return this.#changes.items
      .toSorted((one, other) => one.timeMs - other.timeMs)
      .map((audit) => ({ kind: 'application.changed', audit }))
  }

  undecided(): readonly Undecided[] {
    const counts = new UndecidedCounts()
    for (const timeMs of this.#ofUnknown.items) counts.add('change-of-unknown-application', timeMs)
    return counts.list()
  }

  #isOfWatched({ targets }: DirectoryAudit): boolean {
    return targets.some(
      ({ id, appId }) =>
        (id !== undefined && this.#watched.has(id)) ||
        (appId !== undefined && this.#watched.has(appId)),
    )
  }
}

/** Some records name the object alone, which may be of any application. */
const tellsClientId = ({ targets }: DirectoryAudit): boolean =>
  targets.some(({ appId }) => appId !== undefined)

/** A plain update says which properties it changed; the other activities are about access by their names. */
function concernsAccess({ activity, targets }: DirectoryAudit): boolean {
  if (!/^update (?:application|service principal)$/i.test(activity)) return true
  return targets
    .flatMap(({ changes }) => changes)
    .some(({ name, after = '' }) => properties.test(isList(name) ? after : name))
}

/** A property whose value lists the names of those that were updated. */
const isList = (name: string): boolean => /^included updated properties$/i.test(name)
