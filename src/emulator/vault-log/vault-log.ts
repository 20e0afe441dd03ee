import { isoFrom, type EmulatorClock } from '../emulator-clock.ts'
import type { SeededRandom } from '../random.ts'
import type { Unconfirmed } from '../vault/unconfirmed.ts'
import { createDelivery, type DeliveryDials } from './delivery.ts'
import type { VaultRecord } from './record.ts'
import { blobPath, openStorageAccount, type BlobShape, type LogPlace } from './storage-account.ts'

/** The audit log of all vaults: what happened, and the storage account where it arrives in its own time. */
export interface VaultLog {
  record(record: VaultRecord): void
  /** What happened, in order and at once, however late its delivery is; the newest so many. */
  records(): readonly VaultRecord[]
  /** Older records that memory no longer holds; the storage account does. */
  forgotten(): number
  heldBack(): number
  deliverDue(): void
  flush(): void
  close(): void
}

export interface VaultLogDeps {
  /** The storage account's root: holds `insights-logs-auditevent`. */
  readonly folder: string
  readonly shape: BlobShape
  readonly dials: DeliveryDials
  readonly clock: EmulatorClock
  readonly random: SeededRandom
  readonly unconfirmed: Pick<Unconfirmed, 'blobHour'>
}

/** About 100 MB at the worst; half of them are forgotten at once, so that forgetting stays cheap. */
const rememberedMax = 50_000

const container = 'insights-logs-auditevent'

/** @param resourceId Of the vault, as its records spell it. */
export const vaultLogPlace = (resourceId: string): LogPlace => ({
  container,
  scope: `resourceId=${resourceId}`,
})

export function openVaultLog(deps: VaultLogDeps): VaultLog {
  const { clock, random, dials } = deps
  const account = openStorageAccount(deps.folder, deps.shape, [container])
  let remembered: VaultRecord[] = []
  let forgotten = 0
  const delivery = createDelivery<VaultRecord>({
    dials,
    clock,
    random,
    deliver: (record) => {
      const byEvent = deps.unconfirmed.blobHour === 'event'
      const hourIso = byEvent ? record.time : isoFrom(clock.nowSeconds())
      account.append(record, blobPath(vaultLogPlace(record.resourceId), hourIso))
    },
  })
  return {
    record: (record) => {
      if (remembered.length === rememberedMax) {
        remembered = remembered.slice(rememberedMax / 2)
        forgotten += rememberedMax / 2
      }
      remembered.push(record)
      delivery.accept(record)
    },
    records: () => remembered,
    forgotten: () => forgotten,
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
