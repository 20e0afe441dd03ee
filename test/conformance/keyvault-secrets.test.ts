import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { SecretClient } from '@azure/keyvault-secrets'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

const vault = 'contoso-hsm'

beforeAll(async () => {
  const actions = ['secrets/getSecret/action' as const]
  emulator = await startTestEmulator({
    vaults: [
      {
        name: vault,
        certificates: [
          { name: 'held' },
          { name: 'as-pfx', keyType: 'RSA', exportable: true },
          {
            name: 'as-pem',
            keyType: 'RSA',
            exportable: true,
            contentType: 'application/x-pem-file',
          },
        ],
        secrets: [
          { name: 'database', value: 'Server=orders.example', contentType: 'text/plain' },
          { name: 'withdrawn', value: 'x', enabled: false },
        ],
        roleAssignments: [
          { principal: 'auditor', actions },
          { principal: 'signer', actions: ['keys/read', 'keys/sign/action', 'certificates/read'] },
        ],
      },
    ],
  })
})
afterAll(() => emulator.stop())

const client = (principal: string, of = emulator) =>
  new SecretClient(of.vaultUrl(vault), of.credential(principal), of.clientOptions)

const derOf = (name: string) =>
  emulator.vaults[0]?.store.find(name)?.versions.at(-1)?.der ?? Buffer.alloc(0)

describe('the secret of a certificate whose key is not exportable', () => {
  test('is refused, and the attempt is recorded', async () => {
    const records = await emulator.recordsOf(() =>
      expect(client('auditor').getSecret('held')).rejects.toMatchObject({ statusCode: 403 }),
    )
    expect(records.at(-1)).toMatchObject({
      operationName: 'SecretGet',
      properties: { httpStatusCode: 403 },
    })
  })

  test('is the certificate alone where the switch says so', async () => {
    const other = await startTestEmulator({
      unconfirmed: { nonExportableSecret: 'certificate-only' },
      vaults: emulator.world.vaults.map((one) => ({
        ...one,
        certificates: one.certificates.filter(({ name }) => name === 'held'),
      })),
    })
    const { value = '' } = await client('auditor', other).getSecret('held')
    await other.stop()
    expect(new X509Certificate(value).subject).toBe('CN=assertion-signer')
    expect(value).not.toContain('PRIVATE')
  })
})

describe('the secret of an exportable one', () => {
  test('is its private key and certificate as PEM', async () => {
    const { value = '', properties } = await client('auditor').getSecret('as-pem')
    expect(properties.contentType).toBe('application/x-pem-file')
    expect(new X509Certificate(value).checkPrivateKey(createPrivateKey(value))).toBe(true)
  })

  test('is a PFX that a TLS server starts with', async () => {
    const { value = '', properties } = await client('auditor').getSecret('as-pfx')
    expect(properties.contentType).toBe('application/x-pkcs12')
    const server = createServer({ pfx: Buffer.from(value, 'base64'), passphrase: '' })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const presented = socket.getPeerCertificate().raw
    socket.destroy()
    server.close()
    expect(presented.equals(derOf('as-pfx'))).toBe(true)
  })

  test('is an export that the log shows, with who took it', async () => {
    const records = await emulator.recordsOf(() => client('auditor').getSecret('as-pem'))
    expect(records.at(-1)).toMatchObject({
      operationName: 'SecretGet',
      identity: { claim: { oid: '51000000-0000-4000-8000-000000000002' } },
      properties: { httpStatusCode: 200 },
    })
  })

  test('is refused to a principal that may only read and sign', async () => {
    await expect(client('signer').getSecret('as-pem')).rejects.toMatchObject({
      statusCode: 403,
      code: 'Forbidden',
    })
  })
})

describe('a secret that belongs to no certificate', () => {
  test('is read with a token of somebody who may', async () => {
    const { value, properties } = await client('auditor').getSecret('Database')
    expect(value).toBe('Server=orders.example')
    expect(properties).toMatchObject({ contentType: 'text/plain', enabled: true })
    expect(properties.version).toMatch(/^[0-9a-f]{32}$/)
  })

  test.each([
    ['with a token of somebody who may not', 'signer', 'database', 403],
    ['that is disabled', 'auditor', 'withdrawn', 403],
    ['that is not there', 'auditor', 'nothing', 404],
  ])('is not read %s', async (_, principal, name, statusCode) => {
    await expect(client(principal).getSecret(name)).rejects.toMatchObject({ statusCode })
  })
})

test('nobody here may list or set secrets', async () => {
  const denied = { statusCode: 403 }
  await expect(client('auditor').listPropertiesOfSecrets().next()).rejects.toMatchObject(denied)
  await expect(client('auditor').setSecret('new', 'value')).rejects.toMatchObject(denied)
})
