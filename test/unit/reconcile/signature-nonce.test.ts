import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  parseSignatureNonce,
  signatureNonceSha256,
} from '../../../src/reconcile/signature-nonce.ts'

describe('the nonce of a signature', () => {
  it('is found in the User-Agent that carries it', () => {
    const nonce = randomBytes(16).toString('base64url')
    expect(parseSignatureNonce(`countersign/1.2.3 (signature-nonce ${nonce})`)).toBe(nonce)
  })

  it.each([
    'azsdk-js-keyvault-keys/4.10.2 core-rest-pipeline/1.24.0',
    'countersign/1.2.3 (signature-nonce )',
    `countersign/1.2.3 (signature-nonce ${'n'.repeat(21)})`,
    `countersign/1.2.3 (signature-nonce ${'n'.repeat(23)})`,
    `countersign/1.2.3 (signature-nonce ${'n'.repeat(21)}=)`,
  ])('is not found in %s', (clientInfo) => {
    expect(parseSignatureNonce(clientInfo)).toBeUndefined()
  })

  it('is in the ledger as SHA-256 over its characters', () => {
    // Computed with Python's hashlib.
    expect(signatureNonceSha256('nonce-0000000000000001')).toBe(
      'IeashE-CV6nMEbU3MaYWt9mcVlps48DiGxqP_rR3Ppw',
    )
  })
})
