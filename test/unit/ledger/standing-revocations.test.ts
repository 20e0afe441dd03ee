import { expect, test } from 'vitest'
import type { RevocationMade, RevokedOnRecord } from '../../../src/ledger/entry.ts'
import { parseRevocationMade } from '../../../src/ledger/standing-revocations.ts'

const made = (revoked: RevokedOnRecord): RevocationMade => ({
  kind: 'revocation.made',
  atMs: 1_790_000_000_000,
  revocation: '01990000-0000-7000-8000-000000000001',
  attempt: '01990000-0000-7000-8000-000000000002',
  caller: { issuer: 'github', subject: 'repo:contoso/deploy', tokenSha256: 'a' },
  grant: 'stop',
  reason: 'it is out',
  epoch: 3,
  revoked,
})

test.each<RevokedOnRecord>([
  { what: 'caller', issuer: 'github', subject: 'repo:contoso/deploy' },
  { what: 'grant', grant: 'deploy' },
  { what: 'issuer', issuer: 'github' },
  { what: 'application', application: 'events' },
  { what: 'tenant', tenant: 'fab00000-0000-4000-8000-000000000002' },
  { what: 'key-version', keyId: 'https://vault.example/keys/events/1' },
])('reads what was stored of a $what', (revoked) => {
  expect(parseRevocationMade(JSON.stringify(made(revoked)))).toEqual(made(revoked))
})

test('keeps what a later release may have put there', () => {
  const later = { ...made({ what: 'grant', grant: 'deploy' }), untilSeconds: 1_800_000_000 }
  expect(parseRevocationMade(JSON.stringify(later))).toEqual(later)
})

test.each([
  ['no JSON', '{'],
  ['what stops nothing', JSON.stringify({ ...made({ what: 'grant', grant: '' }), revoked: {} })],
  ['another entry', JSON.stringify({ kind: 'revocation.lifted' })],
])('refuses %s', (_, text) => {
  expect(() => parseRevocationMade(text)).toThrow(TypeError)
})
