import { createHash } from 'node:crypto'
import { RestError } from '@azure/core-rest-pipeline'
import { CertificateClient } from '@azure/keyvault-certificates'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import { SecretClient } from '@azure/keyvault-secrets'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { newSignatureId, parseCertificateName } from '../../src/base/ids.ts'
import { createKeyVaultCertificateSource } from '../../src/certificate/key-vault-certificate.ts'
import { vaultAccessFrom } from '../../src/emulator/vault/authorization.ts'
import { createKeyVaultSigner } from '../../src/signer/key-vault-signer.ts'
import { smallWorld, startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { vaultAccessTo } from '../support/vault-access.ts'

/** A vault that has access policies, and no roles. */

const vault = 'policies'
const definition = {
  name: vault,
  certificates: [{ name: 'assert' }],
  keys: [{ name: 'wrapping' }],
  accessPolicies: [
    {
      principal: 'signer',
      keys: ['get' as const, 'sign' as const],
      certificates: ['get' as const],
    },
    {
      principal: 'auditor',
      keys: ['get' as const, 'list' as const],
      certificates: ['get' as const],
    },
  ],
}

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startTestEmulator({ vaults: [definition] })
})
afterAll(() => emulator.stop())

const digest = createHash('sha256').update('header.payload').digest()
const connection = (principal: string) =>
  [emulator.credential(principal), emulator.clientOptions] as const
const keys = (principal: string) =>
  new KeyClient(emulator.vaultUrl(vault), ...connection(principal))
const certificates = (principal: string) =>
  new CertificateClient(emulator.vaultUrl(vault), ...connection(principal))
const signing = (principal: string, name = 'assert') =>
  new CryptographyClient(`${emulator.vaultUrl(vault)}/keys/${name}`, ...connection(principal))

async function refusalOf(act: Promise<unknown>): Promise<RestError> {
  const error: unknown = await act.then(
    () => new Error('it was granted'),
    (reason: unknown) => reason,
  )
  if (error instanceof RestError) return error
  throw new TypeError(`not refused by the service: ${String(error)}`)
}

async function namesOf(listed: AsyncIterable<{ readonly name: string }>) {
  const names: string[] = []
  for await (const { name } of listed) names.push(name)
  return names.toSorted()
}

describe('a policy', () => {
  test('permits what it names, for every object of the kind', async () => {
    expect((await keys('signer').getKey('assert')).name).toBe('assert')
    expect((await keys('signer').getKey('wrapping')).name).toBe('wrapping')
    expect((await certificates('signer').getCertificate('assert')).name).toBe('assert')
    expect((await signing('signer').sign('RS256', digest)).result).toHaveLength(256)
    expect(await namesOf(keys('auditor').listPropertiesOfKeys())).toEqual(['assert', 'wrapping'])
  })

  test.each([
    ['keys sign', 'auditor', () => signing('auditor').sign('RS256', digest)],
    ['keys get', 'bystander', () => keys('bystander').getKey('absent')],
    [
      'keys unwrapKey',
      'signer',
      () => signing('signer', 'wrapping').unwrapKey('RSA-OAEP', Buffer.alloc(256, 1)),
    ],
    ['keys delete', 'signer', () => keys('signer').beginDeleteKey('assert')],
    ['certificates get', 'bystander', () => certificates('bystander').getCertificate('assert')],
    [
      'secrets get',
      'signer',
      () => new SecretClient(emulator.vaultUrl(vault), ...connection('signer')).getSecret('assert'),
    ],
  ])('that does not name it refuses %s to %s, in its own words', async (permission, name, act) => {
    const error = await refusalOf(act())
    expect([error.statusCode, error.code]).toEqual([403, 'Forbidden'])
    expect(error.details).toMatchObject({ error: { innerError: { code: 'ForbiddenByPolicy' } } })
    const { clientId, objectId } = required(
      smallWorld([]).principals.find((principal) => principal.name === name),
    )
    expect(error.message.replace(/iss=https:[^']+/, 'iss=…')).toBe(
      `The user, group or application 'appid=${clientId};oid=${objectId};iss=…' does not have ${permission} permission ` +
        `on key vault '${vault};location=westeurope'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
    )
  })
})

test('to read one is not to list all', async () => {
  const error = await refusalOf(namesOf(keys('signer').listPropertiesOfKeys()))
  expect([error.statusCode, error.code]).toEqual([403, 'Forbidden'])
  // Of the answer to a listing the client tells the code alone.
  const token = await emulator.token('signer')
  expect((await emulator.ask(vault, 'GET /keys?api-version=7.4', { token })).body).toMatchObject({
    error: {
      message: expect.stringContaining('does not have keys list permission') as string,
      innererror: { code: 'ForbiddenByPolicy' },
    },
  })
})

test('the log says whether a policy matched, and nothing of roles', async () => {
  const matches = async (act: () => Promise<unknown>) => {
    const records = await emulator.recordsOf(act)
    for (const { properties } of records) {
      expect(properties).not.toHaveProperty('isRbacAuthorized')
      expect(properties).not.toHaveProperty('appliedAssignmentId')
    }
    return records.at(-1)
  }
  const signed = await matches(() => signing('signer').sign('RS256', digest))
  expect(signed).toMatchObject({
    operationName: 'KeySign',
    properties: { httpStatusCode: 200, isAccessPolicyMatch: true },
  })
  const refused = await matches(() => refusalOf(signing('auditor').sign('RS256', digest)))
  expect(refused).toMatchObject({
    operationName: 'KeySign',
    resultType: 'Success',
    resultSignature: 'Forbidden',
    resultDescription: expect.stringContaining('does not have keys sign permission') as string,
    properties: { httpStatusCode: 403, isAccessPolicyMatch: false },
  })
})

describe('the service', () => {
  const signAs = async (principal: string) => {
    const access = vaultAccessTo(emulator, principal)
    try {
      const { key } = await createKeyVaultCertificateSource(access, systemClock).load({
        name: required(parseCertificateName('partners')),
        vaultUrl: emulator.vaultUrl(vault),
        vaultCertificateName: 'assert',
        requireHsm: true,
      })
      const signer = createKeyVaultSigner(access, 'countersign/0.0.0', systemClock)
      await signer.prepare(key)
      return await signer.sign({
        key,
        algorithm: 'PS256',
        signingInput: 'header.payload',
        signatureId: newSignatureId(),
        nonce: 'nonce',
        timeoutMs: 5000,
      })
    } finally {
      await access.close()
    }
  }

  test('needs keys get and sign, and certificates get', async () => {
    expect((await signAs('signer')).value).toHaveLength(256)
  })

  test('is told that nothing was signed where it may not', async () => {
    await expect(signAs('auditor')).rejects.toMatchObject({
      code: 'SIGNER_FORBIDDEN',
      applied: 'no',
    })
    await expect(signAs('bystander')).rejects.toMatchObject({ code: 'CERTIFICATE_FORBIDDEN' })
  })
})

test('a vault has one of the two, and knows whom it names', () => {
  const roleAssignments = [{ principal: 'signer', actions: ['keys/read' as const] }]
  expect(() => smallWorld([{ ...definition, roleAssignments }])).toThrow(
    'a vault has access policies or roles, and not both',
  )
  const world = smallWorld([
    { ...definition, accessPolicies: [{ principal: 'nobody', keys: ['get' as const] }] },
  ])
  expect(() => vaultAccessFrom(required(world.vaults[0]), world)).toThrow(
    "vault policies: access policy for unknown principal 'nobody'",
  )
})
