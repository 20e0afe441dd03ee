import type { KeyChanged, KeyExposed } from './finding.ts'
import { KeptEvidence } from './kept-evidence.ts'
import type { OtherRecord } from './vault-record.ts'
import type { Watch } from './watch.ts'

/** Operations that hand out what may hold the private key. */
const exposing: ReadonlySet<string> = new Set([
  'SecretGet',
  'SecretBackup',
  'KeyBackup',
  'KeyRelease',
  'KeyExport',
  'CertificateBackup',
])

/** Of a whole pool of Managed HSM. */
const exposingPool: ReadonlySet<string> = new Set([
  'BackupCreate',
  'SelectiveKeyBackup',
  'SecurityDomainDownload',
])

const changingObject =
  /^(?:Key|Certificate|Secret)(?:Create|Import|Update|Delete|Purge|Recover|Restore|Set|Rotate|RotateIfDue|RotationPolicySet|Renew|Enroll|PolicyUpdate|PolicySet|PendingMerge|PendingUpdate)$/

/** Who may do what in the vault, and the vault itself. */
const changingVault =
  /^(?:Vault(?:Put|Patch|Delete|Recover|Purge|AccessPolicyChangedEventGridNotification)|Role(?:Assignment|Definition)(?:Create|Update|Set|Delete)|SecurityDomainUpload|RestoreCreate)$/

/**
 * Collects what was done to watched keys, their certificates and their vaults, and succeeded. Whoever may use
 * a key was not thereby allowed to take it or to change it: agreed uses leave nothing out here.
 */
export class KeyEvents {
  readonly #watch: Watch
  readonly #events = new KeptEvidence<KeyExposed | KeyChanged>()

  constructor(watch: Watch) {
    this.#watch = watch
  }

  take(record: OtherRecord): void {
    const kind = this.#kindOf(record)
    if (kind === undefined || !isDone(record)) return
    const identity = `${record.correlationId} ${record.operationName} ${record.timeMs}`
    this.#events.add(identity, { kind, record })
  }

  findings(): readonly (KeyExposed | KeyChanged)[] {
    return this.#events.items.toSorted((one, other) => one.record.timeMs - other.record.timeMs)
  }

  get left(): number {
    return this.#events.left
  }

  #kindOf({
    operationName,
    object,
    vault,
  }: OtherRecord): 'key.exposed' | 'key.changed' | undefined {
    if (object !== undefined) {
      if (!this.#watch.watches(object)) return undefined
      if (exposing.has(operationName)) return 'key.exposed'
      return changingObject.test(operationName) ? 'key.changed' : undefined
    }
    if (vault === undefined || !this.#watch.watchesVault(vault)) return undefined
    if (exposingPool.has(operationName)) return 'key.exposed'
    return changingVault.test(operationName) ? 'key.changed' : undefined
  }
}

/** Notifications tell no status. */
const isDone = ({ httpStatusCode }: OtherRecord): boolean =>
  httpStatusCode === undefined || (httpStatusCode >= 200 && httpStatusCode < 300)
