import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TokenCredential } from '@azure/core-auth'
import { Agent, request as send } from 'undici'
import type { z } from 'zod'
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts'
import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'
import { worldSchema, type World } from '../../src/emulator/world.ts'

/** A running emulator for one test file, with what Azure's own clients need to talk to it. */
export interface TestEmulator extends Emulator {
  readonly world: World
  /** PEM of the CA. */
  readonly ca: string
  /** Sends one request to the control interface, and returns the parsed answer. */
  control(request: string, body?: unknown): Promise<unknown>
  /** Speaks for a principal of the world with real tokens of the emulated Entra. */
  credential(principal: string, resource?: string): TokenCredential
  /** A bearer token of a principal, as its credential would send it. */
  token(principal: string, resource?: string): Promise<string>
  /** One request to a vault, as it stands: nothing is added to it and nothing retried. */
  ask(vault: string, request: string, options?: RawOptions): Promise<RawAnswer>
  /** Audit records of what `act` caused, in order. */
  recordsOf(act: () => Promise<unknown>): Promise<readonly VaultRecord[]>
  /** URL of a vault, by name. */
  vaultUrl(vault: string): string
  /** Options every Azure client takes here: our CA, no retries, and no check of the challenge's host. */
  readonly clientOptions: {
    readonly disableChallengeResourceVerification: true
    readonly retryOptions: { readonly maxRetries: 0 }
    readonly tlsOptions: { readonly ca: string }
  }
  /** Closes everything and removes what was written. */
  stop(): Promise<void>
}

export interface RawOptions {
  readonly token?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Parsed, or the text where it is no JSON. */
  readonly body: unknown
}

export interface TestEmulatorOptions extends Partial<EmulatorOptions> {
  /** Instead of `world`: vaults in the tenant `contoso` with the principals of the small world. */
  readonly vaults?: z.input<typeof worldSchema>['vaults']
}

export const contosoTenantId = 'c0c0c0c0-0000-4000-8000-000000000001'

const principal = (name: string, number: number) => ({
  name,
  tenant: 'contoso',
  objectId: `51000000-0000-4000-8000-00000000000${number}`,
  clientId: `51000000-0000-4000-8000-0000000000c${number}`,
})

/** One tenant, three principals (`signer`, `auditor`, `bystander`) and two resources. */
export const smallWorld = (vaults: z.input<typeof worldSchema>['vaults']): World =>
  worldSchema.parse({
    tenants: [
      { name: 'contoso', id: contosoTenantId },
      { name: 'fabrikam', id: 'fab00000-0000-4000-8000-000000000002' },
    ],
    principals: [
      principal('signer', 1),
      principal('auditor', 2),
      principal('bystander', 3),
      { ...principal('stranger', 4), tenant: 'fabrikam' },
    ],
    resources: [
      {
        uris: ['https://vault.azure.net'],
        clientId: 'cfa8b339-82a2-471a-a3c9-0fc0be7a4093',
        tenants: ['contoso', 'fabrikam'],
      },
      {
        uris: ['https://management.azure.com'],
        clientId: '797f4846-ba00-4fd7-ba43-dac1f8f63013',
        tenants: ['contoso'],
      },
    ],
    vaults,
  })

export async function startTestEmulator({
  vaults = [],
  ...options
}: TestEmulatorOptions = {}): Promise<TestEmulator> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'emulator-'))
  const world = options.world ?? smallWorld(vaults)
  const remove = () => rm(stateFolder, { recursive: true, force: true })
  const emulator = await startEmulator({ stateFolder, ...options, world }).catch(
    async (error: unknown) => {
      await remove()
      throw error
    },
  )
  const ca = readFileSync(emulator.endpoints.caFile, 'utf8')
  const agent = new Agent({ connect: { ca } })
  const vaultUrl = (vault: string) => {
    const url = emulator.endpoints.vaults[vault]
    if (url === undefined) throw new TypeError(`the world has no vault '${vault}'`)
    return url
  }
  return {
    ...emulator,
    world,
    ca,
    control: (request, body) => askControl(emulator, request, body),
    credential: (name, resource = 'https://vault.azure.net') =>
      credentialFrom(emulator, world, name, resource),
    token: async (name, resource = 'https://vault.azure.net') => {
      const issued = await credentialFrom(emulator, world, name, resource).getToken([])
      return issued?.token ?? ''
    },
    ask: (vault, request, raw) => askRaw(agent, vaultUrl(vault), request, raw),
    recordsOf: async (act) => {
      const before = emulator.vaultLog.records().length
      await act()
      return emulator.vaultLog.records().slice(before)
    },
    vaultUrl,
    clientOptions: {
      disableChallengeResourceVerification: true,
      retryOptions: { maxRetries: 0 },
      tlsOptions: { ca },
    },
    stop: async () => {
      await agent.close()
      await emulator.close()
      await remove()
    },
  }
}

async function askRaw(
  dispatcher: Agent,
  origin: string,
  text: string,
  { token, body, headers = {} }: RawOptions = {},
): Promise<RawAnswer> {
  const [method = 'GET', target = '/'] = text.split(' ')
  const answer = await send(`${origin}${target}`, {
    dispatcher,
    method,
    headers: {
      ...headers,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const received = await answer.body.text()
  return { status: answer.statusCode, headers: answer.headers, body: parsedOr(received) }
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function askControl(emulator: Emulator, request: string, body: unknown): Promise<unknown> {
  const [method = 'GET', path = '/'] = request.split(' ')
  const { origin, token } = emulator.endpoints.control
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${request}: ${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

function credentialFrom(
  { entra, clock }: Emulator,
  world: World,
  name: string,
  resourceUri: string,
): TokenCredential {
  const found = world.principals.find((one) => one.name === name)
  const resource = world.resources.find(({ uris }) => uris.includes(resourceUri))
  const tenant = world.tenants.find((one) => one.name === found?.tenant)
  if (found === undefined || resource === undefined || tenant === undefined) {
    throw new TypeError(`the world has no principal '${name}' or no resource '${resourceUri}'`)
  }
  return {
    getToken: async () => ({
      token: await entra.accessTokens.issue(
        { tenantId: tenant.id, clientId: found.clientId, objectId: found.objectId },
        resource,
      ),
      // The clients compare with the machine's clock, however the emulator's is shifted.
      expiresOnTimestamp: clock.nowMs() - clock.shiftSeconds * 1000 + resource.tokenSeconds * 1000,
    }),
  }
}
