import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { createCertificateAuthority } from './certificate-authority.ts'
import {
  clockRoutes,
  faultRoutes,
  vaultLogRoutes,
  vaultRoutes,
  versionState,
} from './control-routes.ts'
import { startControl, type ControlRoute } from './control.ts'
import { createEmulatorClock, type EmulatorClock } from './emulator-clock.ts'
import { generateEntraKey } from './entra/entra-keys.ts'
import { createEntra, type Entra } from './entra/entra.ts'
import { createFaultList, type FaultList } from './faults.ts'
import { listenHttps } from './listener.ts'
import { createSeededRandom } from './random.ts'
import { createSigningKeys } from './signing-keys.ts'
import { deliverySchema, type DeliveryDials } from './vault-log/delivery.ts'
import type { BlobShape } from './vault-log/storage-account.ts'
import { openVaultLog, type VaultLog } from './vault-log/vault-log.ts'
import { unconfirmedSchema, type Unconfirmed } from './vault/unconfirmed.ts'
import { startVaults, type RunningVault } from './vaults.ts'
import type { World } from './world.ts'

export interface EmulatorOptions {
  readonly world: World
  /** Gets `ca.pem` and the storage account with the vaults' logs; made where it does not exist. */
  readonly stateFolder: string
  /** Decides lateness, disorder, duplicates and the lottery of faults; never keys. */
  readonly randomSeed?: number
  readonly vaultLog?: Partial<DeliveryDials> & { readonly shape?: BlobShape }
  /** Multiplies the request budgets of all vaults; 1 is what Azure documents. */
  readonly throttleScale?: number
  readonly unconfirmed?: Partial<Unconfirmed>
  /** 0 lets the system choose. */
  readonly controlPort?: number
}

/** Where everything is: what goes into the ready file. */
export interface EmulatorEndpoints {
  /** Origin of the emulated Entra, as `https://127.0.0.1:41234`. */
  readonly authority: string
  /** Vault URLs by name. */
  readonly vaults: Readonly<Record<string, string>>
  readonly control: { readonly origin: string; readonly token: string }
  /** PEM that clients must trust; gone again when the emulator has ended. */
  readonly caFile: string
  /** The storage account: holds `insights-logs-auditevent`. */
  readonly vaultLogFolder: string
}

export interface Emulator {
  readonly endpoints: EmulatorEndpoints
  readonly clock: EmulatorClock
  readonly faults: FaultList
  readonly entra: Entra
  readonly vaults: readonly RunningVault[]
  readonly vaultLog: VaultLog
  /** Ends every connection, frees every port and closes every file; nothing of it goes on. */
  close(): Promise<void>
}

/** Builds the small cloud of a world and waits until all of it answers. Reads like its parts list. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { world, stateFolder, randomSeed = 1 } = options
  // Owns what has been started, so that a start that fails half-way leaves nothing running.
  await using starting = new AsyncDisposableStack()
  const unconfirmed = parseOption('unconfirmed', unconfirmedSchema, options.unconfirmed)
  const clock = createEmulatorClock()
  const faults = createFaultList(createSeededRandom(randomSeed))
  const certificateAuthority = await createCertificateAuthority(clock)
  const tls = await certificateAuthority.issueServerCertificate()

  mkdirSync(stateFolder, { recursive: true })
  const caFile = join(stateFolder, 'ca.pem')
  writeFileSync(caFile, certificateAuthority.certificatePem)
  starting.defer(() => {
    rmSync(caFile, { force: true })
  })

  const { shape = 'json-lines', ...dials } = options.vaultLog ?? {}
  const vaultLogFolder = join(stateFolder, 'storage-account')
  const vaultLog = openVaultLog({
    folder: vaultLogFolder,
    shape,
    dials: parseOption('vaultLog', deliverySchema, dials),
    clock,
    // A sequence of its own: how often faults are drawn must not change what the log does.
    random: createSeededRandom(randomSeed + 1),
    unconfirmed,
  })
  starting.defer(() => {
    vaultLog.close()
  })

  const authority = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  const entra = createEntra({
    origin: authority.origin,
    world,
    clock,
    keys: await createSigningKeys(() => generateEntraKey(clock)),
    faults,
  })
  authority.serve(entra.service)

  const vaults = await startVaults({
    world,
    authorityOrigin: authority.origin,
    accessTokens: entra.accessTokens,
    tls,
    clock,
    faults,
    log: vaultLog,
    throttleScale: options.throttleScale ?? 1,
    unconfirmed,
    started: starting,
  })
  registerCertificates(world, vaults, entra)

  const state: ControlRoute = {
    method: 'GET',
    path: '/state',
    summary: 'the vaults with the versions of their certificates, and the time',
    handle: () => ({
      clock: { nowSeconds: clock.nowSeconds(), shiftSeconds: clock.shiftSeconds },
      vaults: vaults.map(vaultState),
    }),
  }
  const control = await startControl(
    [
      state,
      ...faultRoutes(faults),
      ...clockRoutes(clock, vaultLog),
      ...vaultLogRoutes(vaultLog),
      ...vaultRoutes(vaults),
    ],
    options.controlPort ?? 0,
  )
  starting.defer(() => control.close())

  const running = starting.move()
  return {
    endpoints: {
      authority: authority.origin,
      vaults: Object.fromEntries(vaults.map(({ name, url }) => [name, url])),
      control: { origin: control.origin, token: control.token },
      caFile,
      vaultLogFolder,
    },
    clock,
    faults,
    entra,
    vaults,
    vaultLog,
    close: () => running.disposeAsync(),
  }
}

/** @throws RangeError that names the option, what is wrong with it, and what it may be. */
function parseOption<Schema extends z.ZodType>(name: string, schema: Schema, value: unknown = {}) {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new RangeError(`${name}: ${z.prettifyError(result.error)}`)
}

const vaultState = ({ name, url, store }: RunningVault) => ({
  name,
  url,
  certificates: store.list().map((certificate) => ({
    name: certificate.name,
    versions: certificate.versions.map(versionState),
  })),
})

/** @throws Error when an application names a certificate that no vault has. */
function registerCertificates(
  world: World,
  vaults: readonly RunningVault[],
  { certificates }: Entra,
): void {
  for (const application of world.applications) {
    for (const reference of application.certificates) {
      const [vaultName, name = ''] = reference.split('/')
      const vault = vaults.find((one) => one.name === vaultName)
      const current = vault?.store.find(name)?.versions.at(-1)
      if (current === undefined) {
        throw new Error(`application ${application.name}: no vault has certificate '${reference}'`)
      }
      certificates.register(application.name, current.der)
    }
  }
}
