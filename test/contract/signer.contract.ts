import { constants, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { newSignatureId } from '../../src/base/ids.ts'
import type { SignatureAlgorithm, SigningKey } from '../../src/base/signing-key.ts'
import { type Signer, SignerError } from '../../src/signer/signer.ts'

/** What a signer is tested with, and how its vault is made to misbehave. */
export interface SignerUnderTest {
  readonly signer: Signer
  readonly key: SigningKey
  /** Makes the next sign request of the vault go wrong. */
  breakNextSign(
    how:
      | 'throttle'
      | 'lose before'
      | 'lose after'
      | 'wrong signature'
      | 'garbage'
      | 'error'
      | 'error after',
  ): void
  disableKey(): Promise<void>
  enableKey(): Promise<void>
  /** Sign operations that the vault's own log says were successful. */
  signaturesMade(): number
}

const padding: Record<SignatureAlgorithm, object> = {
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  RS256: { padding: constants.RSA_PKCS1_PADDING },
}

/** Every signer behaves like this; SDK, vault and network are whatever `create` brings. */
export function describeSigner(name: string, create: () => SignerUnderTest): void {
  const sign = (
    signingInput = 'header.payload',
    algorithm: SignatureAlgorithm = 'PS256',
    timeoutMs = 5000,
  ) => {
    const { signer, key } = create()
    const signatureId = newSignatureId()
    return signer.sign({
      key,
      algorithm,
      signingInput,
      signatureId,
      nonce: 'n'.repeat(22),
      timeoutMs,
    })
  }

  /** The failure, and how many signatures the vault made while it happened. */
  const failureOf = async (act: () => Promise<unknown>) => {
    const before = create().signaturesMade()
    const failure: unknown = await act().then(
      () => undefined,
      (error: unknown) => error,
    )
    if (!(failure instanceof SignerError))
      throw new Error('expected a SignerError', { cause: failure })
    return { failure, made: create().signaturesMade() - before }
  }

  describe(name, () => {
    test.each(['PS256', 'RS256'] as const)(
      'signs the input with %s, and plain node:crypto agrees',
      async (algorithm) => {
        const { value, vaultRequestId } = await sign('eyJh.eyJi', algorithm)
        const key = { key: create().key.publicKey, ...padding[algorithm] }
        expect(verify('sha256', Buffer.from('eyJh.eyJi'), key, value)).toBe(true)
        expect(verify('sha256', Buffer.from('eyJh.eyJj'), key, value)).toBe(false)
        expect(vaultRequestId).toMatch(/^[0-9a-f-]{36}$/)
      },
    )

    test('makes one signature for each call, fifty at once', async () => {
      const before = create().signaturesMade()
      const inputs = Array.from({ length: 50 }, (_, index) => `header.${index}`)
      const signatures = await Promise.all(inputs.map((input) => sign(input)))
      expect(create().signaturesMade() - before).toBe(50)
      expect(new Set(signatures.map(({ vaultRequestId }) => vaultRequestId)).size).toBe(50)
    })

    test('refuses a key that was not prepared, which is a mistake of ours', async () => {
      const { signer, key } = create()
      const stranger = { ...key, keyId: `${key.keyId}0` }
      const signing = signer.sign({
        key: stranger,
        algorithm: 'PS256',
        signingInput: 'a.b',
        signatureId: newSignatureId(),
        nonce: '',
        timeoutMs: 1000,
      })
      await expect(signing).rejects.toBeInstanceOf(TypeError)
    })

    test('throttled before signing: nothing was applied, and nothing is retried', async () => {
      create().breakNextSign('throttle')
      const { failure, made } = await failureOf(() => sign())
      expect(failure).toMatchObject({ code: 'SIGNER_THROTTLED', applied: 'no', transient: true })
      expect(failure.vaultRequestId).toMatch(/^[0-9a-f-]{36}$/)
      expect(made).toBe(0)
    })

    test('reply lost after signing: perhaps applied, and not signed twice', async () => {
      create().breakNextSign('lose after')
      const { failure, made } = await failureOf(() => sign())
      expect(failure).toMatchObject({ code: 'SIGNER_UNAVAILABLE', applied: 'unknown' })
      expect(failure.vaultRequestId).toBeUndefined()
      expect(made).toBe(1)
    })

    test('connection lost before signing looks the same from here, and says so', async () => {
      create().breakNextSign('lose before')
      const { failure, made } = await failureOf(() => sign())
      expect(failure).toMatchObject({ code: 'SIGNER_UNAVAILABLE', applied: 'unknown' })
      expect(made).toBe(0)
    })

    test.each([
      ['error', 0],
      ['error after', 1],
    ] as const)('a server error may come before and after the work: %s', async (how, signed) => {
      create().breakNextSign(how)
      const { failure, made } = await failureOf(() => sign())
      expect(failure).toMatchObject({ code: 'SIGNER_UNAVAILABLE', applied: 'unknown' })
      expect(failure.vaultRequestId).toMatch(/^[0-9a-f-]{36}$/)
      expect(made).toBe(signed)
    })

    test('a signature that does not verify is not released', async () => {
      create().breakNextSign('wrong signature')
      const { failure } = await failureOf(() => sign())
      expect(failure).toMatchObject({ code: 'SIGNER_WRONG_SIGNATURE', applied: 'unknown' })
      expect(failure.vaultRequestId).toMatch(/^[0-9a-f-]{36}$/)
    })

    test('an answer that is no answer is not recognised, and perhaps applied', async () => {
      create().breakNextSign('garbage')
      const { failure } = await failureOf(() => sign())
      expect(failure.applied).toBe('unknown')
      expect(['SIGNER_UNRECOGNISED', 'SIGNER_WRONG_SIGNATURE']).toContain(failure.code)
    })

    test('a disabled key has a code of its own, and works again when enabled', async () => {
      await create().disableKey()
      const { failure, made } = await failureOf(() => sign())
      expect(failure).toMatchObject({
        code: 'SIGNER_KEY_DISABLED',
        applied: 'no',
        transient: false,
      })
      expect(made).toBe(0)
      await create().enableKey()
      await expect(sign()).resolves.toHaveProperty('value')
    })

    test('its message holds a code and nothing that the vault said', async () => {
      await create().disableKey()
      const { failure } = await failureOf(() => sign())
      await create().enableKey()
      expect(failure.message).toBe(failure.code)
    })
  })
}
