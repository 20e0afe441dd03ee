import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { newSignatureId } from '../../src/base/ids.ts'
import { createKeyVaultSigner } from '../../src/signer/key-vault-signer.ts'
import { SignerError } from '../../src/signer/signer.ts'
import { startAnsweringVault, type VaultAnswer } from '../support/answering-vault.ts'

/** What the emulator does not say, because a vault rarely does: each has a code, and says if anything was signed. */

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const version = '7e38eb9c8b554567aaf9966a7bbc0764'

async function failureFor(answer: VaultAnswer): Promise<SignerError> {
  const vault = await startAnsweringVault((path, url) => {
    if (path.endsWith('/sign')) return answer
    const { n, e } = publicKey.export({ format: 'jwk' })
    const kid = `${url}/keys/c/${version}`
    return { body: { key: { kid, kty: 'RSA-HSM', key_ops: ['sign', 'verify'], n, e } } }
  })
  const key = {
    keyId: `${vault.url}/keys/c/${version}`,
    publicKey,
    heldBy: 'hsm' as const,
    notBeforeSeconds: undefined,
    notAfterSeconds: undefined,
  }
  const signer = createKeyVaultSigner(vault.access, 'countersign/0.0.0', systemClock)
  await signer.prepare(key)
  const failure: unknown = await signer
    .sign({
      key,
      algorithm: 'PS256',
      signingInput: 'a.b',
      signatureId: newSignatureId(),
      nonce: 'n',
      timeoutMs: 5000,
    })
    .catch((error: unknown) => error)
  await vault.close()
  if (failure instanceof SignerError) return failure
  throw new Error('expected a SignerError', { cause: failure })
}

const refusal = (status: number, code: string, inner?: string): VaultAnswer => ({
  status,
  body: {
    error: {
      code,
      message: 'Caller: appid=secret-of-ours',
      ...(inner === undefined ? {} : { innererror: { code: inner } }),
    },
  },
})

/** As proxies and gateways answer. */
const html = (status: number): VaultAnswer => ({
  status,
  headers: { 'content-type': 'text/html' },
  body: '<html><body>secret-of-ours</body></html>',
})

test.each<[string, VaultAnswer, string, 'no' | 'unknown']>([
  ['expired', refusal(403, 'Forbidden', 'KeyExpired'), 'SIGNER_KEY_OUTSIDE_VALIDITY', 'no'],
  ['too early', refusal(403, 'Forbidden', 'KeyNotYetValid'), 'SIGNER_KEY_OUTSIDE_VALIDITY', 'no'],
  ['disabled', refusal(403, 'Forbidden', 'KeyDisabled'), 'SIGNER_KEY_DISABLED', 'no'],
  ['firewall', refusal(403, 'Forbidden', 'ForbiddenByFirewall'), 'SIGNER_FORBIDDEN', 'no'],
  ['access policy', refusal(403, 'Forbidden', 'ForbiddenByPolicy'), 'SIGNER_FORBIDDEN', 'no'],
  ['gone', refusal(404, 'KeyNotFound'), 'SIGNER_KEY_MISSING', 'no'],
  ['bad request', refusal(400, 'BadParameter'), 'SIGNER_REJECTED', 'no'],
  ['throttled', refusal(429, 'Throttled'), 'SIGNER_THROTTLED', 'no'],
  ['throttled, in no words', { status: 429, body: '' }, 'SIGNER_THROTTLED', 'unknown'],
  ['throttled, in HTML', html(429), 'SIGNER_THROTTLED', 'unknown'],
  ['unauthorised', refusal(401, 'Unauthorized'), 'SIGNER_REJECTED', 'no'],
  ['it waited too long', refusal(408, 'RequestTimeout'), 'SIGNER_TIMEOUT', 'unknown'],
  ['it waited too long, in no words', { status: 408, body: '' }, 'SIGNER_TIMEOUT', 'unknown'],
  ['it waited too long, in HTML', html(408), 'SIGNER_TIMEOUT', 'unknown'],
  ['nobody waited for it', html(499), 'SIGNER_TIMEOUT', 'unknown'],
  ['what it never says', refusal(409, 'Conflict'), 'SIGNER_UNAVAILABLE', 'unknown'],
  ['what a proxy says', html(407), 'SIGNER_UNAVAILABLE', 'unknown'],
  ['what a filter puts in its place', html(403), 'SIGNER_UNAVAILABLE', 'unknown'],
  [
    'forbidden, and half of why',
    { status: 403, body: '{"error":{"co' },
    'SIGNER_UNAVAILABLE',
    'unknown',
  ],
  ['forbidden, and nothing of why', { status: 403, body: '' }, 'SIGNER_UNAVAILABLE', 'unknown'],
  [
    'gone, in a form of its own',
    { status: 404, body: { code: 'NotFound' } },
    'SIGNER_UNAVAILABLE',
    'unknown',
  ],
  ['that a gateway is in the way', html(502), 'SIGNER_UNAVAILABLE', 'unknown'],
  ['broken', refusal(500, 'InternalServerError'), 'SIGNER_UNAVAILABLE', 'unknown'],
  ['something else', { status: 302, body: {} }, 'SIGNER_UNRECOGNISED', 'unknown'],
  ['nothing', { body: {} }, 'SIGNER_UNRECOGNISED', 'unknown'],
  ['an empty signature', { body: { value: '' } }, 'SIGNER_UNRECOGNISED', 'unknown'],
])('a vault that says %s', async (_case, answer, code, applied) => {
  const failure = await failureFor(answer)
  expect(failure).toMatchObject({ code, applied, vaultRequestId: 'made-up', asked: true })
  expect(failure.message).toBe(code)
})

test('a request id that is longer than any is cut', async () => {
  const failure = await failureFor({
    ...refusal(400, 'BadParameter'),
    headers: { 'x-ms-request-id': 'x'.repeat(5000) },
  })
  expect(failure.vaultRequestId).toHaveLength(128)
})

test('a signature that no audit record could be found for is not released', async () => {
  const value = sign('sha256', Buffer.from('a.b'), {
    key: privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32,
  })
  const failure = await failureFor({
    headers: { 'x-ms-request-id': '' },
    body: { kid: `https://127.0.0.1/keys/c/${version}`, value: value.toString('base64url') },
  })
  expect(failure).toMatchObject({ code: 'SIGNER_UNACCOUNTABLE', applied: 'unknown' })
})
