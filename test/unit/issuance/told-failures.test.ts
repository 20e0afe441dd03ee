import { expect, test } from 'vitest'
import { toldFailures } from '../../../src/issuance/told-failures.ts'
import { LedgerError } from '../../../src/ledger/ledger.ts'
import { SignerError } from '../../../src/signer/signer.ts'
import { TokenEndpointError } from '../../../src/token-endpoint/token-endpoint.ts'
import { required } from '../../support/required.ts'

const keyId = 'https://contoso-hsm.vault.azure.net/keys/partner-signing/0001'
const otherKeyId = 'https://contoso-hsm.vault.azure.net/keys/partner-signing/0002'

test('a failure of the vault or of Entra is told by its code, and nothing of what they said', () => {
  const failures = [
    new SignerError('SIGNER_THROTTLED', 'unknown', {
      vaultRequestId: 'id',
      cause: new Error('text'),
    }),
    new TokenEndpointError('ENTRA_ROLE_MISSING', 'no', { errorCodes: [1], traceId: 'id' }),
  ]
  for (const failure of failures) {
    const text = required(toldFailures.textOf(failure, keyId))
    expect(text.split(' ').filter((part) => part !== keyId)).toEqual([failure.code])
    const told = toldFailures.errorFrom(text, keyId)
    expect(told).toBeInstanceOf(failure.constructor)
    // Whoever is told has asked nobody for anything.
    expect(told).toMatchObject({ code: failure.code, applied: 'no' })
    expect(told?.cause).toBeUndefined()
  }
})

test.each(['SIGNER_CREDENTIAL', 'SIGNER_KEY_OUTSIDE_VALIDITY', 'SIGNER_TOO_LATE'] as const)(
  'what a replica failed in before it asked the vault is told to nobody: %s',
  (code) => {
    const failure = new SignerError(code, 'no', { asked: false })
    expect(toldFailures.textOf(failure, keyId)).toBeUndefined()
  },
)

test('that an assertion has expired, by the clock of the replica that made it, is told to nobody', () => {
  expect(toldFailures.textOf(new TokenEndpointError('ENTRA_ASSERTION_EXPIRED', 'no'), keyId)).toBe(
    undefined,
  )
})

test('that the vault refuses a key outside of its validity is told', () => {
  const failure = new SignerError('SIGNER_KEY_OUTSIDE_VALIDITY', 'no')
  expect(toldFailures.textOf(failure, undefined)).toBe(failure.code)
  expect(toldFailures.errorFrom(failure.code, keyId)).toMatchObject({ code: failure.code })
})

test('a failing ledger, or a mistake, is told to nobody', () => {
  for (const error of [new LedgerError('LEDGER_UNAVAILABLE'), new TypeError('ours'), 'text']) {
    expect(toldFailures.textOf(error, keyId)).toBeUndefined()
  }
})

test('what is no code of ours, or only of the replica that tells it, is no failure', () => {
  const own = ['SIGNER_CREDENTIAL', 'SIGNER_TOO_LATE', 'ENTRA_ASSERTION_EXPIRED']
  for (const code of ['', 'toString', '__proto__', 'SIGNER_', 'LEDGER_UNAVAILABLE', ...own]) {
    expect(toldFailures.errorFrom(code, keyId)).toBeUndefined()
  }
})

test.each([
  new SignerError('SIGNER_KEY_DISABLED', 'no'),
  new SignerError('SIGNER_FORBIDDEN', 'no'),
  new TokenEndpointError('ENTRA_CERTIFICATE_UNKNOWN', 'no'),
  new TokenEndpointError('ENTRA_CERTIFICATE_INVALID', 'no'),
])('what one key version failed with is no failure of another one: $code', (failure) => {
  const text = required(toldFailures.textOf(failure, keyId))
  expect(toldFailures.errorFrom(text, otherKeyId)).toBeUndefined()
  for (const same of [keyId, undefined]) {
    expect(toldFailures.errorFrom(text, same)).toMatchObject({ code: failure.code })
  }
})

test.each([
  new TokenEndpointError('ENTRA_THROTTLED', 'no'),
  new TokenEndpointError('ENTRA_APPLICATION_ABSENT', 'no'),
])('what Entra refuses whichever key has signed is a failure of all: $code', (failure) => {
  const text = required(toldFailures.textOf(failure, keyId))
  expect(toldFailures.errorFrom(text, otherKeyId)).toMatchObject({ code: failure.code })
})

test('what an earlier release tells, without a key version, is a failure of all', () => {
  expect(toldFailures.errorFrom('SIGNER_KEY_DISABLED', keyId)).toMatchObject({
    code: 'SIGNER_KEY_DISABLED',
  })
})
