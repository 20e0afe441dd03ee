import { z } from 'zod'
import { ControlError, parsed, type ControlRequest, type ControlRoute } from './control.ts'
import type { EmulatorClock } from './emulator-clock.ts'
import { faultSchema, type FaultList } from './faults.ts'
import type { VaultLog } from './vault-log/vault-log.ts'
import type { RunningVault } from './vaults.ts'
import { thumbprintOf } from './vault/bundles.ts'
import { ObjectUnknownError, type Shelf } from './vault/shelf.ts'
import type { CertificateVersion, KeyVersion } from './vault/vault-store.ts'

export const stateRoute = (
  clock: EmulatorClock,
  vaults: readonly RunningVault[],
): ControlRoute => ({
  method: 'GET',
  path: '/state',
  summary: 'the vaults with the versions of their certificates and keys, and the time',
  handle: () => ({ clock: timeOf(clock), vaults: vaults.map(vaultState) }),
})

const timeOf = (clock: EmulatorClock) => ({
  nowSeconds: clock.nowSeconds(),
  shiftSeconds: clock.shiftSeconds,
})

const vaultState = ({ name, url, store }: RunningVault) => ({
  name,
  url,
  certificates: store.list().map((certificate) => ({
    name: certificate.name,
    versions: certificate.versions.map(certificateState),
  })),
  keys: store.keys.list().map((key) => ({
    name: key.name,
    versions: key.versions.map(keyState),
  })),
})

export const faultRoutes = (faults: FaultList): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/faults',
    summary: 'the faults not yet spent',
    handle: () => faults.list(),
  },
  {
    method: 'POST',
    path: '/faults',
    summary:
      'adds one fault: {"at": "vault", "kind": "throttle", "match": "POST /keys/", "times": 2}',
    handle: ({ body }) => {
      faults.add(parsed(faultSchema, body))
      return faults.list()
    },
  },
  {
    method: 'DELETE',
    path: '/faults',
    summary: 'takes all faults away, and the delay from what is delayed',
    handle: () => {
      faults.clear()
    },
  },
]

const shiftSchema = z.strictObject({ shiftSeconds: z.number() })

/** @param logs Told of every shift, because their deliveries fall due by this clock. */
export const clockRoutes = (
  clock: EmulatorClock,
  logs: readonly { deliverDue(): void }[],
): readonly ControlRoute[] => [
  { method: 'GET', path: '/clock', summary: "the emulator's time", handle: () => timeOf(clock) },
  {
    method: 'POST',
    path: '/clock',
    summary: 'moves the time on, or back: {"shiftSeconds": 3600}',
    handle: ({ body }) => {
      clock.shift(parsed(shiftSchema, body).shiftSeconds)
      for (const log of logs) log.deliverDue()
      return timeOf(clock)
    },
  },
]

export const vaultLogRoutes = (log: VaultLog): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/vault-log',
    summary: 'the audit records of all vaults as they happened, delivered or not',
    handle: () => ({
      records: log.records(),
      forgotten: log.forgotten(),
      heldBack: log.heldBack(),
    }),
  },
  {
    method: 'POST',
    path: '/vault-log/flush',
    summary: 'delivers every record that is held back',
    handle: () => {
      log.flush()
    },
  },
]

const scaleSchema = z.strictObject({ scale: z.number().min(0) })

const throttleRoute = (vaults: readonly RunningVault[]): ControlRoute => ({
  method: 'POST',
  path: '/vaults/{vault}/throttle',
  summary: 'multiplies the documented request budgets by another number: {"scale": 0.1}',
  handle: (request) => {
    vaultIn(vaults, request).throttle.scaleTo(parsed(scaleSchema, request.body).scale)
  },
})

const networkSchema = z.strictObject({
  from: z.union([
    z.literal('everybody'),
    z.literal('private-link'),
    z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])),
  ]),
})

const networkRoute = (vaults: readonly RunningVault[]): ControlRoute => ({
  method: 'POST',
  path: '/vaults/{vault}/network',
  summary:
    'lets in requests from some addresses alone, from nobody but private links, or from everybody again: {"from": ["203.0.113.0/24"]}',
  handle: (request) => {
    vaultIn(vaults, request).network.admit(parsed(networkSchema, request.body).from)
  },
})

const versionSchema = z.strictObject({ version: z.string().optional() }).default({})

export const vaultRoutes = (vaults: readonly RunningVault[]): readonly ControlRoute[] => [
  throttleRoute(vaults),
  networkRoute(vaults),
  ...shelfRoutes('certificates', vaults, ({ store }) => store, certificateState),
  ...shelfRoutes('keys', vaults, ({ store }) => store.keys, keyState),
]

/** What can be done with objects of one kind. */
function shelfRoutes<Version>(
  collection: 'certificates' | 'keys',
  vaults: readonly RunningVault[],
  shelfOf: (vault: RunningVault) => Shelf<unknown, Version>,
  stateOf: (version: Version) => unknown,
): readonly ControlRoute[] {
  const path = (verb: string) => `/vaults/{vault}/${collection}/{name}/${verb}`
  const shelfIn = (request: ControlRequest) => shelfOf(vaultIn(vaults, request))
  const nameIn = ({ parameters: { name = '' } }: ControlRequest) => name
  const setEnabled = (request: ControlRequest, enabled: boolean) => {
    const shelf = shelfIn(request)
    const { version } = parsed(versionSchema, request.body)
    return knownObject(() => stateOf(shelf.setEnabled(nameIn(request), version, enabled)))
  }
  return [
    {
      method: 'POST',
      path: '/vaults/{vault}/leave',
      summary: 'refuses connections from now on, as if the vault were gone',
      handle: (request) => vaultIn(vaults, request).leave(),
    },
    {
      method: 'POST',
      path: '/vaults/{vault}/come-back',
      summary: 'answers again, on the same port and with the same keys',
      handle: (request) => vaultIn(vaults, request).comeBack(),
    },
    {
      method: 'POST',
      path: path('roll'),
      summary:
        collection === 'certificates'
          ? 'makes a new version with a new key, current at once and registered nowhere'
          : 'makes a new version of a key, current at once',
      handle: (request) => {
        const shelf = shelfIn(request)
        return knownObject(async () => stateOf(await shelf.roll(nameIn(request))))
      },
    },
    {
      method: 'POST',
      path: path('disable'),
      summary: 'disables the current version, or the one named: {"version": "…"}',
      handle: (request) => setEnabled(request, false),
    },
    {
      method: 'POST',
      path: path('enable'),
      summary: 'enables it again',
      handle: (request) => setEnabled(request, true),
    },
  ]
}

function vaultIn(vaults: readonly RunningVault[], { parameters }: ControlRequest): RunningVault {
  const { vault: vaultName = '' } = parameters
  const vault = vaults.find((one) => one.name === vaultName)
  if (vault === undefined) {
    const names = vaults.map((one) => one.name).join(', ')
    throw new ControlError(404, `no vault '${vaultName}': there is ${names}`)
  }
  return vault
}

async function knownObject<Value>(act: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof ObjectUnknownError) throw new ControlError(404, error.message)
    throw error
  }
}

/** What may be shown of a version: everything but the private key. */
const keyState = (version: KeyVersion) => ({
  version: version.version,
  enabled: version.enabled,
  notBeforeSeconds: version.notBeforeSeconds,
  notAfterSeconds: version.notAfterSeconds,
})

const certificateState = (version: CertificateVersion) => ({
  ...keyState(version),
  x5t: thumbprintOf(version.der),
  cer: version.der.toString('base64'),
})
