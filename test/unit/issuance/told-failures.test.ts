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

test('a failing ledger, or a mistake, is told to nobody', () => {
  for (const error of [new LedgerError('LEDGER_UNAVAILABLE'), new TypeError('ours'), 'text']) {
    expect(toldFailures.codeOf(error)).toBeUndefined()
  }
})

test('what is no code of ours is no failure', () => {
  for (const code of ['', 'toString', '__proto__', 'SIGNER_', 'LEDGER_UNAVAILABLE']) {
    expect(toldFailures.errorFrom(code)).toBeUndefined()
  }
})
