import { describe, expect, test } from 'vitest'
import { operationFrom } from '../../../../src/emulator/vault/operation.ts'

const version = '0a1b2c3d4e5f60718293a4b5c6d7e8f9'

describe('a path that a vault has', () => {
  test.each([
    ['GET', '/keys', 'KeyList', undefined, undefined],
    ['GET', '/keys/', 'KeyList', undefined, undefined],
    ['GET', '/keys/assert', 'KeyGet', 'assert', undefined],
    ['GET', '/keys/assert/', 'KeyGet', 'assert', undefined],
    ['GET', `/keys/assert/${version}`, 'KeyGet', 'assert', version],
    ['GET', '/keys/assert/versions', 'KeyListVersions', 'assert', undefined],
    ['GET', `/keys/assert/${version}/attestation`, 'KeyGet', 'assert', version],
    ['POST', '/keys/assert//sign', 'KeySign', 'assert', undefined],
    ['POST', '/keys/assert/sign', 'KeySign', 'assert', undefined],
    ['POST', `/keys/assert/${version}/sign`, 'KeySign', 'assert', version],
    ['POST', `/keys/assert/${version}/unwrapkey`, 'KeyUnwrap', 'assert', version],
    ['DELETE', '/keys/assert', 'KeyDelete', 'assert', undefined],
    ['GET', '/certificates/assert/policy', 'CertificatePolicyGet', 'assert', undefined],
    ['GET', '/certificates/assert/', 'CertificateGet', 'assert', undefined],
    ['GET', `/secrets/assert/${version}`, 'SecretGet', 'assert', version],
    ['GET', '/keys/as%2Dsert', 'KeyGet', 'as-sert', undefined],
  ])('%s %s is %s', (method, path, name, object, ofVersion) => {
    expect(operationFrom(method, path)).toMatchObject({ name, object, version: ofVersion })
  })
})

describe('a path that no vault has', () => {
  test.each([
    ['GET', '/'],
    ['GET', '/nothing'],
    ['GET', '/toString'],
    ['GET', '/keys//versions'],
    ['POST', '/keys/assert'],
    ['POST', `/keys/assert/${version}/nonsense`],
    ['GET', `/keys/assert/${version}/sign`],
    ['POST', '/certificates/assert/sign'],
    ['BREW', '/keys/assert'],
  ])('%s %s is no operation', (method, path) => {
    expect(operationFrom(method, path)).toBeUndefined()
  })
})
