import { isoFrom, type EmulatorClock } from '../emulator-clock.ts'
import type { SeededRandom } from '../random.ts'
import { createDelivery, type DeliveryDials } from '../vault-log/delivery.ts'
import { blobPath, openStorageAccount, type BlobShape } from '../vault-log/storage-account.ts'
import { directoryAuditRecord, type CredentialsChange } from './directory-audit.ts'
import { signInRecord, type SignIn } from './sign-in.ts'

/** The sign-in and audit logs of all tenants: what happened, and the account where it arrives in its own time. */
export interface EntraLog {
  signIn(signIn: SignIn): void
  credentialsChanged(change: CredentialsChange): void
  /** What happened, in order and at once, however late its delivery is; the newest so many. */
  signIns(): readonly SignIn[]
  credentialsChanges(): readonly CredentialsChange[]
  heldBack(): number
  deliverDue(): void
  flush(): void
  close(): void
}

export interface EntraLogDeps {
  /** The storage account's root. */
  readonly folder: string
  readonly shape: BlobShape
  readonly dials: DeliveryDials
  readonly clock: EmulatorClock
  readonly random: SeededRandom
}

const signInContainer = 'insights-logs-serviceprincipalsigninlogs'
const auditContainer = 'insights-logs-auditlogs'

interface Placed {
  readonly container: string
  readonly record: { readonly tenantId: string }
}

/** Half of them are forgotten at once, so that forgetting stays cheap. */
const rememberedMax = 20_000

export function openEntraLog(deps: EntraLogDeps): EntraLog {
  const { clock, random, dials } = deps
  const account = openStorageAccount(deps.folder, deps.shape, [signInContainer, auditContainer])
  let signIns: SignIn[] = []
  const changes: CredentialsChange[] = []
  const delivery = createDelivery<Placed>({
    dials,
    clock,
    random,
    deliver: ({ container, record }) => {
      const place = { container, scope: `tenantId=${record.tenantId}` }
      account.append(record, blobPath(place, isoFrom(clock.nowSeconds())))
    },
  })
  return {
    signIn: (signIn) => {
      if (signIns.length === rememberedMax) signIns = signIns.slice(rememberedMax / 2)
      signIns.push(signIn)
      delivery.accept({ container: signInContainer, record: signInRecord(signIn) })
    },
    credentialsChanged: (change) => {
      changes.push(change)
      delivery.accept({ container: auditContainer, record: directoryAuditRecord(change) })
    },
    signIns: () => signIns,
    credentialsChanges: () => changes,
    heldBack: () => delivery.heldBack(),
    deliverDue: () => {
      delivery.deliverDue()
    },
    flush: () => {
      delivery.flush()
    },
    close: () => {
      delivery.close()
      account.close()
    },
  }
}
