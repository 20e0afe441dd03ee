import { describe, expect, it } from 'vitest'
import { vaultRecordFrom } from '../../../src/reconcile/vault-record.ts'

/** KeySign as the storage account has it, as a value to change. */
const keySign = {
  time: '2026-10-02T09:06:13.8719275Z',
  category: 'AuditEvent',
  operationName: 'KeySign',
  resultType: 'Success',
  resultSignature: 'OK',
  correlationId: '6F0C1D8E-0000-4000-8000-000000000001',
  callerIpAddress: '203.0.113.9',
  identity: { claim: { appid: 'the-app', oid: 'the-object', xms_az_nwperimid: [] } },
  properties: {
    id: 'https://V.vault.azure.net/keys/Assert/0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b',
    algorithm: 'PS256',
    clientInfo: 'azsdk-js-keyvault-keys/4.10.2',
    requestUri: 'https://v.vault.azure.net:8443/keys/assert/0a1b/sign?api-version=2025-07-01',
    httpStatusCode: 200,
  },
}

const parsed = (changes: object = {}, properties: object = {}) =>
  vaultRecordFrom({
    ...keySign,
    ...changes,
    properties: { ...keySign.properties, ...properties },
  })

describe('a record of the vault', () => {
  it('is read with all its evidence', () => {
    expect(parsed()).toEqual({
      kind: 'sign',
      time: '2026-10-02T09:06:13.8719275Z',
      timeMs: Date.parse('2026-10-02T09:06:13.871Z'),
      correlationId: '6f0c1d8e-0000-4000-8000-000000000001',
      httpStatusCode: 200,
      key: { vault: 'v.vault.azure.net', name: 'assert', version: '0a1b'.repeat(8) },
      algorithm: 'PS256',
      oid: 'the-object',
      appid: 'the-app',
      callerIpAddress: '203.0.113.9',
      clientInfo: 'azsdk-js-keyvault-keys/4.10.2',
    })
  })

  it('is judged by its status, whatever its resultType says', () => {
    expect(parsed({ resultType: 'Success' }, { httpStatusCode: 403 })).toMatchObject({
      httpStatusCode: 403,
    })
  })

  it('names who asked by the long name of the claim too, and nobody when nobody was proven', () => {
    const name = 'http://schemas.microsoft.com/identity/claims/objectidentifier'
    expect(parsed({ identity: { claim: { [name]: 'by-long-name' } } })).toMatchObject({
      oid: 'by-long-name',
    })
    expect(parsed({ identity: {} })).not.toHaveProperty('oid')
    expect(parsed({ identity: undefined })).not.toHaveProperty('appid')
  })

  it('names its key by the request when it has no id, without the port of the inside', () => {
    const key = { vault: 'v.vault.azure.net', name: 'assert' }
    for (const path of ['assert/sign', 'assert//sign', 'assert']) {
      const requestUri = `https://v.vault.azure.net:8443/keys/${path}?api-version=2025-07-01`
      expect(parsed({}, { id: undefined, requestUri })).toMatchObject({ key })
    }
  })

  it('keeps the nonce of our signer, also where the User-Agent is too long to keep', () => {
    const clientInfo = `${'x'.repeat(1000)} countersign/0.1.0 (signature-nonce ${'n'.repeat(22)})`
    const record = parsed({}, { clientInfo })
    expect(record).toMatchObject({ nonce: 'n'.repeat(22), clientInfo: 'x'.repeat(300) })
  })

  it('is another operation where it is not KeySign, of a vault where it says so', () => {
    expect(parsed({ operationName: 'SecretGet' }, { id: 'https://V/Secrets/Assert' })).toEqual({
      kind: 'other',
      operationName: 'SecretGet',
      time: '2026-10-02T09:06:13.8719275Z',
      timeMs: Date.parse('2026-10-02T09:06:13.871Z'),
      correlationId: '6f0c1d8e-0000-4000-8000-000000000001',
      httpStatusCode: 200,
      vault: 'v',
      object: { collection: 'secrets', vault: 'v', name: 'assert' },
      oid: 'the-object',
      appid: 'the-app',
      callerIpAddress: '203.0.113.9',
      clientInfo: 'azsdk-js-keyvault-keys/4.10.2',
    })
    const unproven = parsed(
      { operationName: 'Authentication' },
      { id: undefined, requestUri: 'https://v.vault.azure.net:8443/' },
    )
    expect(unproven).toMatchObject({ vault: 'v.vault.azure.net' })
    expect(unproven).not.toHaveProperty('object')
    const silent = parsed({ operationName: 'Other' }, { id: undefined, requestUri: 'no URL' })
    expect(silent).not.toHaveProperty('vault')
  })

  it.each([
    ['is a number', 7, 'it is not a JSON object'],
    ['is a list', [], 'it is not a JSON object'],
    ['is null', null, 'it is not a JSON object'],
    ['has no operation', { ...keySign, operationName: 7 }, 'it has no operationName'],
    ['has no time', { ...keySign, time: 'yesterday' }, 'it has no time'],
    [
      'has no status',
      { ...keySign, properties: { ...keySign.properties, httpStatusCode: '200' } },
      'it is a KeySign without httpStatusCode',
    ],
    [
      'has no key',
      {
        ...keySign,
        properties: { httpStatusCode: 200, id: 'https://v/secrets/a' },
      },
      'it is a KeySign without the id of a key',
    ],
  ])('is not understood when it %s', (_, value, why) => {
    expect(vaultRecordFrom(value)).toEqual({ kind: 'not-understood', why })
  })
})
