import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CertificateClient } from '@azure/keyvault-certificates'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { readVaultLog, readVaultRecords } from '../support/vault-log-files.ts'

let emulator: TestEmulator

const vault = 'contoso-hsm'
const digest = createHash('sha256').update('header.payload').digest()
const signBody = { alg: 'PS256', value: digest.toString('base64url') }

const vaults = [
  {
    name: vault,
    certificates: [{ name: 'assert' }],
    roleAssignments: [
      {
        principal: 'signer',
        actions: ['keys/read' as const, 'keys/sign/action' as const, 'certificates/read' as const],
      },
    ],
  },
]

beforeAll(async () => {
  emulator = await startTestEmulator({ vaults })
})
afterAll(() => emulator.stop())

const sign = async (principal: string, body: unknown = signBody, of = emulator) =>
  of.ask(vault, 'POST /keys/assert//sign?api%2Dversion=2025-07-01', {
    token: await of.token(principal),
    body,
    headers: { 'user-agent': 'assertion-signer/1.0 attempt/01J' },
  })

describe('the record of a signature', () => {
  test('says who, with which version, from where, and by which role', async () => {
    let requestId: unknown
    const [record, ...others] = await emulator.recordsOf(async () => {
      requestId = (await sign('signer')).headers['x-ms-request-id']
    })
    expect(others).toEqual([])
    const version = emulator.vaults[0]?.store.find('assert')?.versions.at(-1)?.version ?? ''
    expect(record).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/) as string,
      category: 'AuditEvent',
      operationName: 'KeySign',
      resultType: 'Success',
      resultSignature: 'OK',
      resultDescription: '',
      correlationId: requestId,
      durationMs: expect.stringMatching(/^\d+$/) as string,
      callerIpAddress: '127.0.0.1',
      resourceId:
        '/SUBSCRIPTIONS/E0000000-0000-4000-8000-00000000000E/RESOURCEGROUPS/EMULATED/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-HSM',
      operationVersion: '2025-07-01',
      identity: {
        claim: {
          appid: '51000000-0000-4000-8000-0000000000c1',
          appidacr: '2',
          oid: '51000000-0000-4000-8000-000000000001',
          iss: expect.stringMatching(/\/c0c0c0c0-0000-4000-8000-000000000001\/$/) as string,
          idtyp: 'app',
          xms_az_nwperimid: [],
        },
      },
      properties: {
        id: `${emulator.vaultUrl(vault)}/keys/assert/${version}`,
        algorithm: 'PS256',
        clientInfo: 'assertion-signer/1.0 attempt/01J',
        requestUri: 'https://127.0.0.1:8443/keys/assert//sign?api-version=2025-07-01',
        httpStatusCode: 200,
        isRbacAuthorized: true,
        appliedAssignmentId: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
        keyProperties: {
          type: 'RSA-HSM',
          size: 2048,
          operations: ['sign', 'verify'],
          attributes: { enabled: true, hsmPlatform: '2' },
        },
        tlsVersion: 'TLS1_3',
        subnetId: '',
      },
    })
  })

  test('of a refused one says Success too, and only its status tells', async () => {
    const [denied] = await emulator.recordsOf(() => sign('bystander'))
    expect(denied).toMatchObject({
      operationName: 'KeySign',
      resultType: 'Success',
      resultSignature: 'Forbidden',
      identity: { claim: { oid: '51000000-0000-4000-8000-000000000003' } },
      properties: { httpStatusCode: 403, isRbacAuthorized: false },
    })
    expect(denied?.properties['appliedAssignmentId']).toBeUndefined()
    const [bad] = await emulator.recordsOf(() => sign('signer', { alg: 'PS256', value: 'AAAA' }))
    expect(bad).toMatchObject({
      resultSignature: 'Bad Request',
      properties: { httpStatusCode: 400, isRbacAuthorized: true },
    })
    expect(bad?.properties['algorithm']).toBeUndefined()
  })

  test('never holds digest or signature', async () => {
    const { body } = await sign('signer')
    const { value } = body as { value: string }
    const folder = emulator.endpoints.vaultLogFolder
    const written = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .join('')
    expect(written).toContain('KeySign')
    const forms = (bytes: Buffer) => [
      bytes.toString('base64url'),
      bytes.toString('base64'),
      bytes.toString('hex'),
    ]
    for (const secret of [...forms(digest), ...forms(Buffer.from(value, 'base64url'))]) {
      expect(written).not.toContain(secret)
    }
  })
})

test('a request without a token is recorded, with nobody named', async () => {
  const [record] = await emulator.recordsOf(() =>
    emulator.ask(vault, 'GET /keys/assert/?api%2Dversion=7.4'),
  )
  expect(record).toMatchObject({
    operationName: 'KeyGet',
    resultSignature: 'Unauthorized',
    identity: {},
    properties: { httpStatusCode: 401 },
  })
  expect(record?.identity.claim).toBeUndefined()
  expect(record?.properties['isRbacAuthorized']).toBeUndefined()
})

test('every operation of the clients has the name that Azure gives it', async () => {
  const connection = [
    emulator.vaultUrl(vault),
    emulator.credential('signer'),
    emulator.clientOptions,
  ] as const
  const keys = new KeyClient(...connection)
  const certificates = new CertificateClient(...connection)
  const records = await emulator.recordsOf(async () => {
    const key = await keys.getKey('assert')
    await keys.listPropertiesOfKeyVersions('assert').next()
    const [, ...credentials] = connection
    await new CryptographyClient(key, ...credentials).sign('PS256', digest)
    await certificates.getCertificate('assert')
    await certificates.getCertificatePolicy('assert')
    await certificates.listPropertiesOfCertificateVersions('assert').next()
  })
  const granted = records.filter(({ properties }) => properties.httpStatusCode === 200)
  expect(granted.map(({ operationName }) => operationName)).toEqual([
    'KeyGet',
    'KeyListVersions',
    'KeySign',
    'CertificateGet',
    'CertificatePolicyGet',
    'CertificateListVersions',
  ])
  expect(granted[3]?.properties['certificateProperties']).toMatchObject({
    subject: 'CN=assertion-signer',
    sha1: expect.stringMatching(/^[0-9A-F]{40}$/) as string,
    sha256: expect.stringMatching(/^[0-9A-F]{64}$/) as string,
  })
})

describe('the storage account', () => {
  test('has one blob per vault and hour, in JSON Lines, whole before the answer is read', async () => {
    await sign('signer')
    const log = readVaultLog(emulator.endpoints.vaultLogFolder)
    for (const [path, records] of log) {
      expect(path).toMatch(
        /^insights-logs-auditevent\/resourceId=\/SUBSCRIPTIONS\/[-0-9A-F]+\/RESOURCEGROUPS\/EMULATED\/PROVIDERS\/MICROSOFT\.KEYVAULT\/VAULTS\/CONTOSO-HSM\/y=\d{4}\/m=\d\d\/d=\d\d\/h=\d\d\/m=00\/PT1H\.json$/,
      )
      expect(records.length).toBeGreaterThan(0)
    }
    expect([...log.values()].flat()).toEqual(emulator.vaultLog.records())
  })

  test('files a record under the hour it is from', async () => {
    await emulator.control('POST /clock', { shiftSeconds: 7200 })
    await sign('signer')
    await emulator.control('POST /clock', { shiftSeconds: -7200 })
    const log = readVaultLog(emulator.endpoints.vaultLogFolder)
    expect(log.size).toBeGreaterThan(1)
    for (const [path, records] of log) {
      const [, day = '', hour = ''] = /d=(\d\d)\/h=(\d\d)/.exec(path) ?? []
      for (const { time } of records) expect(time.slice(8, 13)).toBe(`${day}T${hour}`)
    }
  })
})

describe('delivery', () => {
  const signMany = async (of: TestEmulator, times: number) => {
    for (let i = 0; i < times; i += 1) await sign('signer', signBody, of)
  }
  const idsIn = (of: TestEmulator) =>
    readVaultRecords(of.endpoints.vaultLogFolder).map(({ correlationId }) => correlationId)

  test('late, out of order and twice loses nothing and changes nothing', async () => {
    const unreliable = await startTestEmulator({
      vaults,
      randomSeed: 7,
      vaultLog: { lateSecondsMax: 600, disorder: 0.3, duplicates: 0.2 },
    })
    await signMany(unreliable, 60)
    const happened = unreliable.vaultLog.records().map(({ correlationId }) => correlationId)
    expect(happened).toHaveLength(60)
    expect(idsIn(unreliable).length).toBeLessThan(10)

    await unreliable.control('POST /clock', { shiftSeconds: 300 })
    const half = idsIn(unreliable).length
    expect(half).toBeGreaterThan(10)
    expect(half).toBeLessThan(60)

    await unreliable.control('POST /vault-log/flush')
    const delivered = idsIn(unreliable)
    expect(delivered.length).toBeGreaterThan(60)
    expect(new Set(delivered)).toEqual(new Set(happened))
    expect([...new Set(delivered)]).not.toEqual(happened)
    const original = new Map(
      unreliable.vaultLog.records().map((record) => [record.correlationId, record]),
    )
    for (const record of readVaultRecords(unreliable.endpoints.vaultLogFolder)) {
      expect(record).toEqual(original.get(record.correlationId))
    }
    await unreliable.stop()
  })

  test.each(['records', 'array'] as const)(
    'in the older shape %s is whole at any time',
    async (shape) => {
      const older = await startTestEmulator({ vaults, vaultLog: { shape } })
      for (let made = 1; made <= 3; made += 1) {
        await sign('signer', signBody, older)
        expect(idsIn(older)).toHaveLength(made)
      }
      await older.stop()
    },
  )
})

describe('switches for what nobody has confirmed', () => {
  test('change the record as they say', async () => {
    const other = await startTestEmulator({
      vaults,
      unconfirmed: {
        operationNameOf401: 'Authentication',
        requestUriQuery: 'as-sent',
        idOnFailure: 'absent',
        clientInfoCharactersMax: 10,
      },
    })
    await other.ask(vault, 'GET /keys/assert/?api%2Dversion=7.4')
    await sign('bystander', signBody, other)
    await sign('signer', signBody, other)
    await other.stop()
    const [unauthenticated, denied, granted] = other.vaultLog.records()
    expect(unauthenticated?.operationName).toBe('Authentication')
    expect(denied?.operationName).toBe('KeySign')
    expect(denied?.properties['id']).toBeUndefined()
    expect(granted?.properties).toMatchObject({
      clientInfo: 'assertion-',
      requestUri: 'https://127.0.0.1:8443/keys/assert//sign?api%2Dversion=2025-07-01',
    })
    expect(granted?.properties['id']).toBeDefined()
  })

  test('are refused by name when there is no such switch or value', async () => {
    const unconfirmed: object = { operationNameOf401: 'other', nonsense: 1 }
    await expect(startTestEmulator({ vaults, unconfirmed })).rejects.toThrow(
      /unconfirmed: .*"target"\|"Authentication"[\s\S]*nonsense|nonsense[\s\S]*operationNameOf401/,
    )
  })
})
