import type { ServerCertificate } from './certificate-authority.ts'
import type { EmulatorClock } from './emulator-clock.ts'
import type { AccessTokens } from './entra/access-tokens.ts'
import type { FaultList } from './faults.ts'
import { listenHttps } from './listener.ts'
import type { VaultRecord } from './vault-log/record.ts'
import { vaultAccessFrom } from './vault/authorization.ts'
import { createNetworkAccess, type NetworkAccess } from './vault/network-access.ts'
import { createThrottle, type Throttle } from './vault/throttle.ts'
import type { Unconfirmed } from './vault/unconfirmed.ts'
import { createVaultStore, type VaultStore } from './vault/vault-store.ts'
import { createVault } from './vault/vault.ts'
import type { World, WorldVault } from './world.ts'

export interface RunningVault {
  readonly name: string
  /** Where its REST interface is, as `https://127.0.0.1:41234`. */
  readonly url: string
  readonly store: VaultStore
  readonly throttle: Pick<Throttle, 'scaleTo'>
  readonly network: Pick<NetworkAccess, 'admit'>
  /** Refuses connections until it comes back, as it was. */
  leave(): Promise<void>
  comeBack(): Promise<void>
}

export interface VaultsDeps {
  readonly world: World
  readonly authorityOrigin: string
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly tls: ServerCertificate
  readonly clock: EmulatorClock
  readonly faults: FaultList
  /** Told of each record, for the log of all vaults. */
  readonly record: (record: VaultRecord) => void
  readonly throttleScale: number
  readonly unconfirmed: Unconfirmed
  /** Takes the listeners over, one by one as they start. */
  readonly started: AsyncDisposableStack
}

/** Generates the keys of all vaults at once, then lets each listen on its port. */
export async function startVaults(deps: VaultsDeps): Promise<readonly RunningVault[]> {
  const stores = await Promise.all(
    deps.world.vaults.map(async (definition) => ({
      definition,
      store: await createVaultStore(definition, deps.clock),
    })),
  )
  const running: RunningVault[] = []
  for (const { definition, store } of stores) {
    running.push(await startVault(definition, store, deps))
  }
  return running
}

async function startVault(
  definition: WorldVault,
  store: VaultStore,
  deps: VaultsDeps,
): Promise<RunningVault> {
  const { world, clock, unconfirmed, record } = deps
  const tenantId = tenantOf(definition, world)
  const access = vaultAccessFrom(definition, world)
  const listener = deps.started.adopt(
    await listenHttps({ tls: deps.tls, port: definition.port }),
    (part) => part.close(),
  )
  const throttle = createThrottle({
    clock,
    scale: deps.throttleScale,
    refused: unconfirmed.throttledRequests,
  })
  const network = createNetworkAccess()
  listener.serve(
    createVault({
      definition,
      tenantId,
      origin: listener.origin,
      authorityOrigin: deps.authorityOrigin,
      store,
      access,
      accessTokens: deps.accessTokens,
      throttle,
      network,
      clock,
      faults: deps.faults,
      unconfirmed,
      record,
    }),
  )
  return {
    name: definition.name,
    url: listener.origin,
    store,
    throttle,
    network,
    leave: () => listener.leave(),
    comeBack: () => listener.comeBack(),
  }
}

function tenantOf(definition: WorldVault, { tenants }: World): string {
  const tenant =
    definition.tenant === undefined
      ? tenants[0]
      : tenants.find(({ name }) => name === definition.tenant)
  if (tenant === undefined) {
    throw new Error(`vault ${definition.name}: unknown tenant '${definition.tenant ?? ''}'`)
  }
  return tenant.id
}
