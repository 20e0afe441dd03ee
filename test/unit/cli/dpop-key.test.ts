import { generateKeyPairSync } from 'node:crypto'
import { decodeProtectedHeader } from 'jose'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { judgeDpopProof } from '../../../src/caller/dpop-proof.ts'
import { proofKeyFrom } from '../../../src/caller/key-set.ts'
import { parseDpopKey } from '../../../src/cli/dpop-key.ts'
import { required } from '../../support/required.ts'

const pkcs8 = { format: 'pem', type: 'pkcs8' } as const
const ecKey = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey

const nowSeconds = 1_790_000_000
const publicUrl = 'https://countersign.contoso.example'
const token = new Secret('eyJ.a.b')
const request = { method: 'POST', url: `${publicUrl}/v1/token`, token, nowSeconds }

const judged = (proof: string, method = 'POST') =>
  judgeDpopProof(proof, {
    keyThumbprint: required(proofKeyFrom(decodeProtectedHeader(proof).jwk as object)).thumbprint,
    token,
    target: { method, path: '/v1/token' },
    publicUrl,
    nowSeconds,
  })

describe('a key of a caller', () => {
  test.each([
    ['EC P-256', ecKey('P-256').export(pkcs8)],
    ['EC P-256, as SEC 1', ecKey('P-256').export({ format: 'pem', type: 'sec1' })],
    ['EC P-384', ecKey('P-384').export(pkcs8)],
    ['EC P-521', ecKey('P-521').export(pkcs8)],
    ['Ed25519', generateKeyPairSync('ed25519').privateKey.export(pkcs8)],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(pkcs8)],
  ])('of %s proves one request, as the service judges it, and no other', async (_, pem) => {
    const key = parseDpopKey(pem)
    const proof = key.proofFor(request)
    expect(await judged(proof)).toMatchObject({ ok: true })
    expect(await judged(proof, 'GET')).toEqual({ ok: false, fault: 'htm' })
    // Each counts once.
    expect(key.proofFor(request)).not.toBe(proof)
    expect(JSON.stringify(decodeProtectedHeader(proof))).not.toMatch(/"(d|p|q|dp|dq|qi)":/)
  })

  test.each([
    [
      'of a curve that is not known',
      ecKey('secp256k1').export(pkcs8),
      'its kind of key is not known',
    ],
    [
      'with a password',
      ecKey('P-256').export({ ...pkcs8, cipher: 'aes-128-cbc', passphrase: 'x' }),
      'has a password',
    ],
    [
      'that is public',
      generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }),
      'no private key',
    ],
    ['that is a token', token.reveal(), 'no private key'],
  ])('%s is refused in words that repeat nothing of it', (_, pem, why) => {
    expect(() => parseDpopKey(pem)).toThrow(why)
    expect(() => parseDpopKey(pem)).not.toThrow(pem.slice(0, 40))
  })
})
