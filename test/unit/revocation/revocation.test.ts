import { describe, expect, test } from 'vitest'
import type { RevokedOnRecord } from '../../../src/ledger/entry.ts'
import { isRevoked, standingFor, stopping } from '../../../src/revocation/revocation.ts'
import { revokedEntry } from '../../support/entries.ts'

const facts = {
  issuer: 'github',
  subject: 'repo:contoso/billing',
  grant: 'billing',
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  keyId: 'https://vault.example/keys/partners/1',
}

const { issuer, subject, grant, application, tenant, keyId } = facts

const kinds: readonly (readonly [RevokedOnRecord, beside: RevokedOnRecord])[] = [
  [
    { what: 'caller', issuer, subject },
    { what: 'caller', issuer: 'gitlab', subject },
  ],
  [
    { what: 'grant', grant },
    { what: 'grant', grant: 'billing-2' },
  ],
  [
    { what: 'issuer', issuer },
    { what: 'issuer', issuer: 'billing' },
  ],
  [
    { what: 'application', application },
    { what: 'application', application: grant },
  ],
  [
    { what: 'tenant', tenant },
    { what: 'tenant', tenant: 'fab00000-0000-4000-8000-000000000003' },
  ],
  [
    { what: 'key-version', keyId },
    { what: 'key-version', keyId: `${keyId}0` },
  ],
]

describe.each(kinds)('a revocation of %o', (revoked, beside) => {
  test('stops what has it among its facts, and nothing else', () => {
    expect(isRevoked(stopping([revoked]), facts)).toBe(true)
    expect(isRevoked(stopping([beside]), facts)).toBe(false)
    expect(isRevoked(stopping([beside, revoked]), facts)).toBe(true)
    expect(isRevoked(stopping([revoked]), {})).toBe(false)
  })
})

test('a subject may hold anything, and is none but itself', () => {
  const revoked = stopping([{ what: 'caller', issuer, subject: 'b\nc' }])
  expect(isRevoked(revoked, { issuer, subject: 'b\nc' })).toBe(true)
  for (const other of ['b', 'c', 'b\nc\n', 'B\nc']) {
    expect(isRevoked(revoked, { issuer, subject: other })).toBe(false)
  }
})

test('a caller is one of its issuer: a subject alone is nobody', () => {
  const revoked = stopping([{ what: 'caller', issuer, subject }])
  expect(isRevoked(revoked, { subject })).toBe(false)
  expect(isRevoked(revoked, { issuer })).toBe(false)
})

test('what stands for just this is found, and not what stands for something else', () => {
  const standing = { epoch: 2, made: [revokedEntry('1', 1), revokedEntry('2', 2)] }
  expect(standingFor(standing, { what: 'grant', grant: '2' })).toEqual(revokedEntry('2', 2))
  expect(standingFor(standing, { what: 'application', application: '2' })).toBeUndefined()
})
