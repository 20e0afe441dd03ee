import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { faultSchema } from '../../src/emulator/faults.ts'
import { canHaveArcFolder, keepArcFolder } from '../support/arc-folder.ts'
import { oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { withEverySource } from '../support/identity-sources.ts'

/**
 * `ManagedIdentityCredential` under every source that the emulator plays, by its environment alone. Of IMDS it
 * is the address that is not the real one: `169.254.169.254` is not to be had on loopback.
 */

let emulator: TestEmulator

beforeAll(async () => {
  const arc = canHaveArcFolder ? keepArcFolder() : undefined
  emulator = await startTestEmulator({ world: withEverySource(oneVaultWorld) })
  return () => arc?.release()
})
afterAll(() => emulator.stop())

const support = (file: string) => new URL(`../support/${file}`, import.meta.url).pathname
const client = support('managed-identity-client.ts')
const msalClient = support('msal-managed-identity-client.ts')
const vaultScope = 'https://vault.azure.net/.default'
const own = '51000000-0000-4000-8000-0000000000c1'
const another = '51000000-0000-4000-8000-0000000000c2'

type Source = keyof TestEmulator['endpoints']['environments'][string]

interface ClientOutcome {
  readonly token?: string
  readonly expiresOnTimestamp?: number
  readonly error?: string
}

interface Asking {
  readonly source?: Source
  readonly principal?: string
  readonly scope?: string
  readonly clientId?: string
  /** Besides what the platform sets. */
  readonly more?: Readonly<Record<string, string>>
}

/** What `ManagedIdentityCredential` makes of the environment of a principal. */
const ask = (asking: Asking = {}) => askAs(client, asking)

async function askAs(
  program: string,
  {
    source = 'app-service',
    principal = 'countersign',
    scope = vaultScope,
    clientId,
    more = {},
  }: Asking,
): Promise<ClientOutcome> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [program, scope, ...(clientId === undefined ? [] : [clientId])],
    { env: { ...emulator.endpoints.environments[principal]?.[source], ...more } },
  )
  return JSON.parse(stdout) as ClientOutcome
}

const readCertificate = (token = '') =>
  emulator.ask('contoso-hsm', 'GET /certificates/partner-signing/?api-version=2025-07-01', {
    token,
  })

const strike = (fault: { kind: 'throttle' | 'not-found' | 'gone'; times?: number }) => {
  emulator.faults.add(faultSchema.parse({ at: 'managed-identity', ...fault }))
}

/** As root alone, because Azure's clients take keys of Arc from one folder of the system. */
const arcAsRoot = describe.runIf(canHaveArcFolder)

describe.for([
  ['App Service', 'app-service'],
  ['App Service of the older generation', 'app-service-legacy'],
  ['IMDS', 'imds'],
  ['Cloud Shell', 'cloud-shell'],
] as const)('%s', ([, source]) => {
  describeSource(source)
})

arcAsRoot('Azure Arc, as root', () => {
  describeSource('arc')
})

function describeSource(source: Source): void {
  test('@azure/identity gets a token of its principal, and the vault accepts it', async () => {
    const { token = '', error } = await ask({ source })
    expect(error).toBeUndefined()
    expect(decodeJwt(token)).toMatchObject({
      oid: '51000000-0000-4000-8000-000000000001',
      xms_mirid: expect.stringMatching(/\/userAssignedIdentities\/countersign$/) as unknown,
      idtyp: 'app',
    })
    expect((await readCertificate(token)).status).toBe(200)
  })

  test('a resource that does not exist in the tenant is named in the refusal', async () => {
    const { token, error } = await ask({ source, scope: 'https://nowhere.example/.default' })
    expect(token).toBeUndefined()
    expect(error).toContain('https://nowhere.example')
    expect(error).toMatch(source === 'cloud-shell' ? /not a supported MSI/ : /AADSTS500011/)
  })

  test('one throttled answer is retried by the client', async () => {
    strike({ kind: 'throttle' })
    expect(await ask({ source })).toHaveProperty('token')
    expect(emulator.faults.list()).toEqual([])
  })
}

describe.for([
  ['App Service', 'app-service', true],
  ['App Service of the older generation', 'app-service-legacy', true],
  ['IMDS', 'imds', true],
  ['Azure Arc, as root', 'arc', canHaveArcFolder],
] as const)('a client of %s that names its identity', ([, source, isThere]) => {
  test.runIf(isThere)('gets that one, and no other', async () => {
    expect(await ask({ source, clientId: own })).toHaveProperty('token')
    const { token, error } = await ask({ source, clientId: another })
    expect(token).toBeUndefined()
    expect(error).toMatch(/Identity not found|No User Assigned or Delegated Managed Identity found/)
  })
})

describe('App Service', () => {
  test('a principal without a role gets a token, and the vault refuses it', async () => {
    const { token } = await ask({ principal: 'bystander' })
    expect((await readCertificate(token)).status).toBe(403)
  })

  test.for([
    ['app-service', 'IDENTITY_HEADER'],
    ['app-service-legacy', 'MSI_SECRET'],
  ] as const)('a wrong secret of %s gets nothing', async ([source, name]) => {
    const { error } = await ask({ source, more: { [name]: 'guess' } })
    expect(error).toContain('The identity header is missing or wrong.')
  })

  test('says until when a token lives', async () => {
    const { expiresOnTimestamp } = await ask()
    expect(expiresOnTimestamp).toBeGreaterThan(Date.now() + 3_500_000)
  })

  test('of the older generation says it in a text that the client takes for the end itself', async () => {
    const { token = '', expiresOnTimestamp } = await ask({ source: 'app-service-legacy' })
    expect(decodeJwt(token).exp).toBeGreaterThan(Date.now() / 1000 + 3500)
    expect(expiresOnTimestamp).toBeLessThan(Date.now() + 60_000)
  })
})

/** What the client waits for before it asks again, of the time that its whole process takes. */
const secondsOf = async (act: () => Promise<unknown>): Promise<number> => {
  const startedMs = performance.now()
  await act()
  return (performance.now() - startedMs) / 1000
}

describe('IMDS that is being updated', () => {
  test('is asked again by @azure/identity, until it is there', async () => {
    strike({ kind: 'not-found', times: 2 })
    expect(await ask({ source: 'imds' })).toHaveProperty('token')
    expect(emulator.faults.list()).toEqual([])
  }, 120_000)

  test('is left for longer by @azure/identity, where it is said to be away for longer', async () => {
    strike({ kind: 'gone' })
    let outcome: ClientOutcome = {}
    const seconds = await secondsOf(async () => {
      outcome = await ask({ source: 'imds' })
    })
    expect(outcome).toHaveProperty('token')
    // Three seconds, of which it takes off half at most.
    expect(seconds).toBeGreaterThanOrEqual(1.5)
    expect(emulator.faults.list()).toEqual([])
  }, 120_000)

  test('is asked again by msal-node too', async () => {
    strike({ kind: 'not-found' })
    const { token } = await askAs(msalClient, { source: 'imds', scope: 'https://vault.azure.net' })
    expect(token).toMatch(/^eyJ/)
    expect(emulator.faults.list()).toEqual([])
  }, 120_000)

  test('and never comes back is said to be so, after it was asked six times', async () => {
    strike({ kind: 'not-found', times: 20 })
    const { token, error } = await ask({ source: 'imds' })
    const [left] = emulator.faults.list()
    emulator.faults.clear()
    expect(token).toBeUndefined()
    expect(error).toContain('Failed to retrieve token')
    expect(left?.times).toBe(14)
  }, 120_000)
})

test('IMDS that goes on to throttle is said to throttle, after it was asked four times', async () => {
  strike({ kind: 'throttle', times: 20 })
  const { token, error } = await ask({ source: 'imds' })
  const [left] = emulator.faults.list()
  emulator.faults.clear()
  expect(token).toBeUndefined()
  expect(error).toContain('Too many requests')
  expect(left?.times).toBe(16)
}, 120_000)

test('Cloud Shell knows one identity, so the client asks it for no other', async () => {
  const { error } = await ask({ source: 'cloud-shell', clientId: own })
  expect(error).toContain('not supported for CloudShell')
})

test.runIf(canHaveArcFolder)(
  'Azure Arc, as root: a key in another folder is not read by the client',
  async () => {
    const arcKeyFolder = mkdtempSync(join(tmpdir(), 'emulator-arc-'))
    const world = { ...withEverySource(oneVaultWorld), vaults: [], applications: [], arcKeyFolder }
    const elsewhere = await startTestEmulator({ world })
    const more = elsewhere.endpoints.environments['countersign']?.arc ?? {}
    const { error } = await ask({ source: 'arc', more })
    expect(error).toMatch(/file path/i)
    await elsewhere.stop()
    expect(readdirSync(arcKeyFolder)).toEqual([])
    rmSync(arcKeyFolder, { recursive: true })
  },
)
