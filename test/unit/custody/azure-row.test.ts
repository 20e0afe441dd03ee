import { expect, test } from 'vitest'
import { azureRow } from '../../../src/custody/azure-row.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { chainedRows, tokenIssuedEntry } from '../../support/entries.ts'
import { required } from '../../support/required.ts'

const rowOf = (entry: Entry) => required(chainedRows([entry])[0])
const issued = tokenIssuedEntry('orders', '-oGkL4bEJzUQnYDp2nR9u8vxbm3dY0m1y8V0gBq7M1s')
const refused = (subject: string): Entry => ({
  kind: 'request.refused',
  atMs: 1,
  attempt: 'a',
  caller: { issuer: 'github', subject },
  reason: 'grant_missing',
  application: '@SUM(1)',
  tenant: 't',
})

test('a row is flat, has its own id whenever it is sent, and the entry as it was hashed', () => {
  const row = rowOf(issued)
  const sent = azureRow('L', row)
  expect(sent).toEqual(azureRow('L', row))
  expect(sent).toMatchObject({
    TimeGenerated: new Date(issued.atMs).toISOString(),
    EntryId: 'L/1',
    Kind: 'token.issued',
    CallerSubject: 'api',
    TargetTenant: 'fab00000-0000-4000-8000-000000000002',
    Entry: Buffer.from(row.canonical).toString(),
  })
  const types = new Set(Object.values(sent).map((value) => typeof value))
  expect([...types].sort()).toEqual(['number', 'string'])
})

test('no column has a name that Log Analytics keeps for itself', () => {
  const names = Object.keys(azureRow('L', rowOf(issued))).map((name) => name.toLowerCase())
  for (const reserved of [
    '_ResourceId',
    'id',
    '_SubscriptionId',
    'TenantId',
    'Type',
    'UniqueId',
    'Title',
  ]) {
    expect(names).not.toContain(reserved.toLowerCase())
  }
})

test.each(['=cmd|calc', '+1', '-1+1', '@x', '\tx', '\rx'])(
  'what a spreadsheet would compute is a text there, and is whole in the entry: %j',
  (subject) => {
    const row = azureRow('L', rowOf(refused(subject)))
    expect(row['CallerSubject']).toBe(`'${subject}`)
    expect(row['Application']).toBe("'@SUM(1)")
    expect(JSON.parse(row.Entry)).toMatchObject({ caller: { subject } })
  },
)

test('a hash that begins with a hyphen stays one that can be joined', () => {
  expect(azureRow('L', rowOf(issued))['TokenSha256']).toBe(issued.tokenSha256)
})

test('an entry that is longer than a field may be says that it is cut', () => {
  const row = azureRow('L', rowOf(refused('x'.repeat(70_000))))
  expect(row.EntryIsCut).toBe(true)
  expect(Buffer.byteLength(row.Entry)).toBeLessThanOrEqual(64 * 1024)
  expect(azureRow('L', rowOf(refused('x'.repeat(60_000)))).EntryIsCut).toBeUndefined()
})
