import { z } from 'zod'
import { ControlError, parsed, type ControlRequest, type ControlRoute } from './control.ts'
import type { EmulatorClock } from './emulator-clock.ts'
import { faultSchema, type FaultList } from './faults.ts'
import type { VaultLog } from './vault-log/vault-log.ts'
import type { RunningVault } from './vaults.ts'
import { thumbprintOf } from './vault/bundles.ts'
import { ObjectUnknownError, type CertificateVersion } from './vault/vault-store.ts'

export const stateRoute = (
  clock: EmulatorClock,
  vaults: readonly RunningVault[],
): ControlRoute => ({
  method: 'GET',
  path: '/state',
  summary: 'the vaults with the versions of their certificates, and the time',
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
    versions: certificate.versions.map(versionState),
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
    summary: 'takes all faults away',
    handle: () => {
      faults.clear()
    },
  },
]

const shiftSchema = z.strictObject({ shiftSeconds: z.number() })

/** @param log Told of every shift, because its deliveries fall due by this clock. */
export const clockRoutes = (clock: EmulatorClock, log: VaultLog): readonly ControlRoute[] => [
  { method: 'GET', path: '/clock', summary: "the emulator's time", handle: () => timeOf(clock) },
  {
    method: 'POST',
    path: '/clock',
    summary: 'moves the time on, or back: {"shiftSeconds": 3600}',
    handle: ({ body }) => {
      clock.shift(parsed(shiftSchema, body).shiftSeconds)
      log.deliverDue()
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

const versionSchema = z.strictObject({ version: z.string().optional() }).default({})

export const vaultRoutes = (vaults: readonly RunningVault[]): readonly ControlRoute[] => {
  const path = (verb: string) => `/vaults/{vault}/certificates/{name}/${verb}`
  const setEnabled = (request: ControlRequest, enabled: boolean) => {
    const { store, name } = certificateIn(vaults, request)
    const { version } = parsed(versionSchema, request.body)
    return knownObject(() => versionState(store.setEnabled(name, version, enabled)))
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
      summary: 'makes a new version with a new key, current at once and registered nowhere',
      handle: (request) => {
        const { store, name } = certificateIn(vaults, request)
        return knownObject(async () => versionState(await store.roll(name)))
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

function certificateIn(vaults: readonly RunningVault[], request: ControlRequest) {
  const { name = '' } = request.parameters
  return { store: vaultIn(vaults, request).store, name }
}

function vaultIn(vaults: readonly RunningVault[], { parameters }: ControlRequest): RunningVault {
  const { vault: vaultName = '' } = parameters
  const vault = vaults.find((one) => one.name === vaultName)
  if (vault !== undefined) return vault
  const names = vaults.map((one) => one.name).join(', ')
  throw new ControlError(404, `no vault '${vaultName}': there is ${names}`)
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
const versionState = (version: CertificateVersion) => ({
  version: version.version,
  enabled: version.enabled,
  notBeforeSeconds: version.notBeforeSeconds,
  notAfterSeconds: version.notAfterSeconds,
  x5t: thumbprintOf(version.der),
  cer: version.der.toString('base64'),
})
