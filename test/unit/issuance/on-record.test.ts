import { expect, test } from 'vitest'
import { newAttemptId } from '../../../src/base/ids.ts'
import type { Caller } from '../../../src/caller/caller.ts'
import { callerOnRecord, tokenIssued } from '../../../src/issuance/on-record.ts'
import { canonicalEntry } from '../../../src/ledger/chain.ts'
import type { DecisionOnRecord } from '../../../src/ledger/entry.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { obtainedToken, tokenKey } from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const clock = fixedClock(1_790_000_000)
const issuer = issuerName('platform')
const caller: Caller = { issuer, subject: 'job-1', claims: {}, expiresAtSeconds: 1_790_000_300 }
const { application, tenant, scope } = tokenKey()

const onRecord = (proof: Partial<Caller>, rare: Partial<DecisionOnRecord>): DecisionOnRecord => ({
  attempt: newAttemptId(),
  caller: callerOnRecord({ ...caller, ...proof }, { sharedAudienceIssuers: new Set([issuer]) }),
  grant: 'orders',
  application,
  tenant,
  scope,
  ...rare,
})

// Nothing would break if it were not so: the entries that there are most of would only cost more.
test.each<[string, Partial<Caller>, Partial<DecisionOnRecord>]>([
  ['of a token', { tokenSha256: 'a hash' }, {}],
  ['of a certificate', { certificateSha256: 'a hash' }, {}],
  ['with all that is rare', { tokenSha256: 'a hash' }, { longLived: true, dryRun: ['tried'] }],
])('an issued token is put down in canonical order: %s', (_what, proof, rare) => {
  const entry = tokenIssued(onRecord(proof, rare), obtainedToken(clock), clock.nowMs())
  expect(JSON.stringify(entry)).toBe(canonicalEntry(entry))
  expect(Object.keys(entry)).toEqual(Object.keys(entry).toSorted())
})
