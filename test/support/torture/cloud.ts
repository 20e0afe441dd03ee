import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import type { z } from 'zod'
import type { EmulatorEndpoints } from '../../../src/emulator/emulator.ts'
import type { ExchangeRecord } from '../../../src/emulator/entra/exchange-log.ts'
import type { Fault, faultSchema } from '../../../src/emulator/faults.ts'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { worldSchema } from '../../../src/emulator/world.ts'
import { required } from '../required.ts'
import { readVaultRecords } from '../vault-log-files.ts'
import { type Caller, claimsOfJob, publicUrl } from './cast.ts'
import type { Workshop } from './workshop.ts'

export type FaultOrder = z.input<typeof faultSchema>

/** The emulated Azure of one torture, in a process of its own that no kill touches. */
export interface Cloud extends AsyncDisposable {
  readonly endpoints: EmulatorEndpoints
  /** A caller's own token, meant for the service. */
  callerToken(caller: Caller): Promise<string>
  arm(fault: FaultOrder): Promise<void>
  /** Faults that have not struck so often as they may. */
  armed(): Promise<readonly Fault[]>
  disarm(): Promise<void>
  /** Every record of the vaults, each once, after what was sent to them has been answered. */
  vaultRecords(): Promise<readonly VaultRecord[]>
  /** What the token endpoints were asked. */
  exchanges(): Promise<readonly ExchangeRecord[]>
  /** Signs as `build-agent`, past the service. */
  signBehind(userAgent: string): Promise<void>
}

export interface CloudOptions {
  readonly world: z.input<typeof worldSchema>
  readonly randomSeed: number
}

export async function startCloud(
  workshop: Workshop,
  { world, randomSeed }: CloudOptions,
): Promise<Cloud> {
  const state = join(workshop.folder, 'cloud')
  const worldFile = join(workshop.folder, 'world.json')
  writeFileSync(worldFile, JSON.stringify(world))
  const program = workshop.start([
    ...['emulate', '--world', worldFile, '--state', state, '--random-seed', String(randomSeed)],
    // As Azure delivers: in no order, and some of it twice.
    ...['--log-disorder', '0.1', '--log-duplicates', '0.05'],
    ...['--log-shape', required(logShapes[randomSeed % logShapes.length])],
  ])
  const ready = await program.firstLine((line) => line === 'ready')
  if (ready === undefined) throw new Error(`no cloud:\n${program.lastLines()}`)
  const endpoints = JSON.parse(
    readFileSync(join(state, 'emulator.json'), 'utf8'),
  ) as EmulatorEndpoints
  const agent = new Agent({ connect: { ca: readFileSync(endpoints.caFile, 'utf8') } })
  const control = (order: string, body?: object) => askControl(endpoints, order, body)

  return {
    endpoints,
    callerToken: (caller) =>
      caller.kind === 'workload' ? workloadToken(endpoints, caller) : jobToken(control, caller),
    arm: async (fault) => {
      await control('POST /faults', fault)
    },
    armed: async () => (await control('GET /faults')) as readonly Fault[],
    disarm: async () => {
      await control('DELETE /faults')
    },
    vaultRecords: async () => eachOnce(await recordsAtRest(endpoints, control)),
    exchanges: async () => (await control('GET /exchanges')) as readonly ExchangeRecord[],
    signBehind: (userAgent) => signBehind(agent, endpoints, control, userAgent),
    [Symbol.asyncDispose]: async () => {
      await agent.destroy()
      await program.end('SIGTERM')
    },
  }
}

const logShapes = ['json-lines', 'records', 'array'] as const

type AskControl = (order: string, body?: object) => Promise<unknown>

async function askControl(
  { control }: EmulatorEndpoints,
  order: string,
  body?: object,
): Promise<unknown> {
  const [method = '', path = ''] = order.split(' ')
  const response = await fetch(control.origin + path, {
    method,
    headers: { authorization: `Bearer ${control.token}` },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${order}: ${response.status} ${text}`)
  return text === '' ? undefined : (JSON.parse(text) as unknown)
}

/** Until no more come: a killed service may have sent what the vault has not read yet. */
async function recordsAtRest(
  { vaultLogFolder }: EmulatorEndpoints,
  control: AskControl,
): Promise<readonly VaultRecord[]> {
  const delivered = async () => {
    await control('POST /vault-log/flush')
    return readVaultRecords(vaultLogFolder)
  }
  for (let before = await delivered(); ;) {
    await delay(restMs)
    const now = await delivered()
    if (now.length === before.length) return now
    before = now
  }
}

const restMs = 20

function eachOnce(records: readonly VaultRecord[]): readonly VaultRecord[] {
  const byIdentity = new Map(
    records.map((record) => [`${record.correlationId} ${record.operationName}`, record]),
  )
  return [...byIdentity.values()]
}

async function workloadToken(endpoints: EmulatorEndpoints, { place }: Caller): Promise<string> {
  const { endpoint, header } = required(endpoints.managedIdentities[place.workload.name])
  const query = new URLSearchParams({ 'api-version': '2019-08-01', resource: publicUrl })
  const response = await fetch(`${endpoint}?${query.toString()}`, {
    headers: { 'x-identity-header': header },
  })
  return ((await response.json()) as { access_token: string }).access_token
}

async function jobToken(control: AskControl, { place, kind }: Caller): Promise<string> {
  const ref = kind === 'job-of-a-branch' ? 'refs/heads/feature' : 'refs/heads/main'
  const { token } = (await control(`POST /issuers/${place.ci}/token`, {
    audience: publicUrl,
    claims: claimsOfJob(place, ref),
    lifetimeSeconds: 3600,
    ...(kind === 'forger' ? { wrong: 'signature' } : {}),
  })) as { token: string }
  return token
}

async function signBehind(
  dispatcher: Agent,
  { vaults }: EmulatorEndpoints,
  control: AskControl,
  userAgent: string,
): Promise<void> {
  const { access_token: token } = (await control('POST /principals/build-agent/access-token', {
    resource: 'https://vault.azure.net',
  })) as { access_token: string }
  const url = `${required(vaults['contoso-hsm'])}/keys/events-signing/sign?api-version=2025-07-01`
  const { statusCode, body } = await request(url, {
    dispatcher,
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'user-agent': userAgent,
    },
    body: JSON.stringify({ alg: 'PS256', value: Buffer.alloc(32, 7).toString('base64url') }),
  })
  const text = await body.text()
  if (statusCode !== 200) throw new Error(`the vault answered ${statusCode}: ${text}`)
}
