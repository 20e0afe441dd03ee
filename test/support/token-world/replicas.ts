import type { ApplicationName } from '../../../src/base/ids.ts'
import { createFleetTokenCache } from '../../../src/token-cache/fleet-token-cache.ts'
import type { TokenCache } from '../../../src/token-cache/token-cache.ts'
import { type TokenKey, tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { type Fleet, refreshRules, type Replica } from '../fleet.ts'
import type { Air } from './air.ts'
import { keys } from './happening.ts'
import { type Judge, madeFrom } from './judge.ts'
import { type Altered, wiredStore } from './wired-store.ts'

/** One of those that are asked. */
export interface AskedReplica extends Replica {
  readonly number: number
  readonly cache: TokenCache
  /** What it signs with for the application. */
  keyIdOf(application: ApplicationName): string
  /** From now on with another version. */
  turnOver(application: ApplicationName): void
}

/** Room for three tokens. */
const bytesMax = 4200
const everyMs = 3000

/** @param onReportable An altered row has reached a replica, which has to report it. */
export function createReplicas(
  { count, sharing }: { readonly count: number; readonly sharing: boolean },
  {
    fleet,
    air,
    judge,
    altered,
    onReportable,
  }: {
    readonly fleet: Fleet
    readonly air: Air
    readonly judge: Judge
    readonly altered: Altered
    readonly onReportable: () => void
  },
): readonly AskedReplica[] {
  const { clock, sealer } = fleet
  const storeOf = () =>
    wiredStore(fleet.store, air, altered, {
      onStored: async (key, { sealed, expiresAtSeconds }) => {
        const opened = await sealer.open({ key, expiresAtSeconds }, sealed)
        if (!opened.ok) throw new Error(opened.reason)
        const { token } = JSON.parse(opened.plaintext.toString()) as { readonly token: string }
        judge.landed(madeFrom(token))
      },
      onRemoved: (texts) => {
        for (const key of keys) if (texts.includes(tokenKeyText(key))) judge.removed(key)
      },
      onAltered: ({ expiresAtSeconds }) => {
        const leftSeconds = expiresAtSeconds - clock.nowSeconds()
        // What looks as if its time were over is not looked into.
        if (leftSeconds >= refreshRules.minRemainingSeconds) onReportable()
      },
    })
  return Array.from({ length: count }, (_, number) => {
    const onLedger = () => air.pass()
    const parts = fleet.replica({ store: storeOf(), bytesMax, everyMs, onLedger })
    const shared = createFleetTokenCache({ ...parts, clock, ...refreshRules })
    const versions = new Map<ApplicationName, number>()
    const versionOf = (application: ApplicationName) => versions.get(application) ?? 0
    return {
      ...parts,
      number,
      cache: sharing ? shared : parts.memory,
      keyIdOf: (application) => keyIdOf(application, versionOf(application)),
      turnOver: (application) => {
        versions.set(application, versionOf(application) + 1)
      },
    }
  })
}

const keyIdOf = (application: TokenKey['application'], version: number) =>
  `https://contoso-hsm.vault.azure.net/keys/${application}/${String(version).padStart(32, '0')}`
