import { expect, test } from 'vitest'
import { toldFailures } from '../../../src/issuance/told-failures.ts'
import { LedgerError } from '../../../src/ledger/ledger.ts'
import { SignerError } from '../../../src/signer/signer.ts'
import { TokenEndpointError } from '../../../src/token-endpoint/token-endpoint.ts'

test('a failure of the vault or of Entra is told by its code, and nothing of what they said', () => {
  const failures = [
    new SignerError('SIGNER_THROTTLED', 'unknown', {
      vaultRequestId: 'id',
      cause: new Error('text'),
    }),
    new TokenEndpointError('ENTRA_ROLE_MISSING', 'no', { errorCodes: [1], traceId: 'id' }),
  ]
  for (const failure of failures) {
    const code = toldFailures.codeOf(failure)
    expect(code).toBe(failure.code)
    const told = toldFailures.errorFrom(code ?? '')
    expect(told).toBeInstanceOf(failure.constructor)
    // Whoever is told has asked nobody for anything.
    expect(told).toMatchObject({ code, applied: 'no' })
    expect(told?.cause).toBeUndefined()
  }
})

test.each(['SIGNER_CREDENTIAL', 'SIGNER_KEY_OUTSIDE_VALIDITY', 'SIGNER_TOO_LATE'] as const)(
  'what a replica failed in before it asked the vault is told to nobody: %s',
  (code) => {
    const failure = new SignerError(code, 'no', { asked: false })
    expect(toldFailures.codeOf(failure)).toBeUndefined()
  },
)

test('that an assertion has expired, by the clock of the replica that made it, is told to nobody', () => {
  expect(toldFailures.codeOf(new TokenEndpointError('ENTRA_ASSERTION_EXPIRED', 'no'))).toBe(
    undefined,
  )
})

test('that the vault refuses a key outside of its validity is told', () => {
  const failure = new SignerError('SIGNER_KEY_OUTSIDE_VALIDITY', 'no')
  expect(toldFailures.codeOf(failure)).toBe(failure.code)
  expect(toldFailures.errorFrom(failure.code)).toMatchObject({ code: failure.code })
})

test('a failing ledger, or a mistake, is told to nobody', () => {
  for (const error of [new LedgerError('LEDGER_UNAVAILABLE'), new TypeError('ours'), 'text']) {
    expect(toldFailures.codeOf(error)).toBeUndefined()
  }
})

test('what is no code of ours, or only of the replica that tells it, is no failure', () => {
  const own = ['SIGNER_CREDENTIAL', 'SIGNER_TOO_LATE', 'ENTRA_ASSERTION_EXPIRED']
  for (const code of ['', 'toString', '__proto__', 'SIGNER_', 'LEDGER_UNAVAILABLE', ...own]) {
    expect(toldFailures.errorFrom(code)).toBeUndefined()
  }
})
