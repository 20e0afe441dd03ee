import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { entryColumns, entryRowFrom, fieldBytesMax } from '../../../src/custody/entry-row.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { chainedRows, revokedEntry, tokenIssuedEntry } from '../../support/entries.ts'
import { defaultWorld } from '../../support/emulated-entra.ts'
import { required } from '../../support/required.ts'

const rowOf = (entry: Entry) => {
  const stored = required(chainedRows([entry])[0])
  return { stored, row: entryRowFrom(stored, 'https://countersign.contoso.example') }
}

const signatureBegun: Entry = {
  kind: 'signature.begun',
  atMs: 1_790_000_000_123,
  signature: '01990000-0000-7000-8000-bbbbbbbbbbbb',
  attempt: '01990000-0000-7000-8000-aaaaaaaaaaaa',
  purpose: 'exchange',
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  keyId: 'https://contoso-hsm.vault.azure.net/keys/partner-signing/0a1b2c',
  algorithm: 'PS256',
  digest: 'D',
  nonceSha256: 'N',
  expiresAtSeconds: 1_790_000_300,
}

describe('the row of an entry', () => {
  test('says who was given what, by which grant, and until when', () => {
    const { row, stored } = rowOf(tokenIssuedEntry('billing', 'T'))
    expect(row).toEqual({
      TimeGenerated: '2026-09-21T14:13:20.000Z',
      At: '2026-09-21T14:13:20.000Z',
      EntryId: Buffer.from(stored.hash).toString('hex'),
      Deployment: 'https://countersign.contoso.example',
      Sequence: 1,
      Kind: 'token.issued',
      Attempt: '01990000-0000-7000-8000-aaaaaaaaaaaa',
      CallerIssuer: 'cluster',
      CallerSubject: 'api',
      Grant: 'billing',
      Application: 'events',
      EntraTenant: 'fab00000-0000-4000-8000-000000000002',
      Scope: 'https://eventhubs.azure.net/.default',
      ObtainedBy: '01990000-0000-7000-8000-aaaaaaaaaaaa',
      TokenSha256: 'T',
      ExpiresAt: '2026-09-21T15:13:20.000Z',
      Entry: Buffer.from(stored.canonical).toString(),
    })
  })

  test('says which version of which key signed what', () => {
    expect(rowOf(signatureBegun).row).toMatchObject({
      SignatureId: signatureBegun.signature,
      KeyId: signatureBegun.keyId,
      KeyVersion: '0a1b2c',
      Algorithm: 'PS256',
      Digest: 'D',
      NonceSha256: 'N',
      ExpiresAt: '2026-09-21T14:18:20.000Z',
    })
  })

  test('has the id that the record of the vault has', () => {
    const { row } = rowOf({
      kind: 'signature.made',
      atMs: 1,
      signature: 's',
      vaultRequestId: '6f0c1d8e-0000-4000-8000-000000000001',
      signatureSha256: 'S',
    })
    expect(row.VaultRequestId).toBe('6f0c1d8e-0000-4000-8000-000000000001')
  })

  test('is told from that of another entry in the same place, and is always the same for one', () => {
    const [one, other] = ['a', 'b'].map((grant) => rowOf(revokedEntry(grant, 1)).row)
    expect(one?.Sequence).toBe(other?.Sequence)
    expect(one?.EntryId).not.toBe(other?.EntryId)
    expect(rowOf(revokedEntry('a', 1)).row).toEqual(one)
  })

  test('leaves what no column is for to the entry as it was hashed', () => {
    const { row } = rowOf(revokedEntry('billing', 7))
    expect(Object.keys(row).filter((name) => !(name in entryColumns))).toEqual([])
    expect(row.Entry).toContain('"epoch":7')
  })

  test.each(['', '{', 'null', '[]', '{}', '{"kind":1,"atMs":1}', '{"kind":"a","atMs":1e300}'])(
    'is there, and can be looked for, also of %j, which somebody has put in its place',
    (text) => {
      const stored = required(chainedRows([revokedEntry('a', 1)])[0])
      const row = entryRowFrom({ ...stored, canonical: Buffer.from(text) }, 'd')
      expect(row).toEqual({
        EntryId: Buffer.from(stored.hash).toString('hex'),
        Deployment: 'd',
        Sequence: 1,
        Kind: 'not-understood',
        Entry: text,
      })
    },
  )

  test('has no caller where somebody has put something else in its place', () => {
    const stored = required(chainedRows([revokedEntry('a', 1)])[0])
    const canonical = Buffer.from('{"atMs":1,"caller":null,"kind":"token.issued"}')
    const row = entryRowFrom({ ...stored, canonical }, 'd')
    expect(row.Kind).toBe('token.issued')
    expect(row).not.toHaveProperty('CallerIssuer')
  })

  const refused = (subject: string): Entry => ({
    kind: 'request.refused',
    atMs: 1,
    attempt: 'a',
    caller: { issuer: 'github', subject, tokenSha256: 'B' },
    reason: 'grant_missing',
    application: '@SUM(1)',
    tenant: 't',
  })

  test.each(['=cmd|calc', '+1', '-1+1', '@x', '\tx', '\rx', '\nx'])(
    'has %j of a caller as a text that no spreadsheet computes, and whole in the entry',
    (subject) => {
      const { row } = rowOf(refused(subject))
      expect(row.CallerSubject).toBe(`'${subject}`)
      expect(row.Application).toBe("'@SUM(1)")
      expect(JSON.parse(required(row.Entry))).toMatchObject({ caller: { subject } })
    },
  )

  test('has what is joined as it is, also where it begins with a hyphen', () => {
    const hash = '-oGkL4bEJzUQnYDp2nR9u8vxbm3dY0m1y8V0gBq7M1s'
    expect(rowOf(tokenIssuedEntry('orders', hash)).row.TokenSha256).toBe(hash)
    expect(rowOf(refused(hash)).row.CallerSubject).toBe(hash)
    const uti = '-oGkL4bEJzUQnYDp2nR9uA'
    const exchange = {
      ...{ exchange: 'e', signature: 's', attempt: 'a', application: 'events', tenant: 't' },
      ...{ scope: 'https://eventhubs.azure.net/.default', tokenSha256: hash, expiresAtSeconds: 1 },
    }
    expect(rowOf({ kind: 'exchange.succeeded', atMs: 1, ...exchange, uti }).row.Uti).toBe(uti)
  })

  test('says nothing of the token that a caller was proven by', () => {
    const names = Object.keys(rowOf(refused('api')).row)
    expect(names.filter((name) => name.startsWith('Caller'))).toEqual([
      'CallerIssuer',
      'CallerSubject',
    ])
  })

  test('says so when a text is longer than a column may be, and cuts no character in two', () => {
    const { row } = rowOf(tokenIssuedEntry('ä'.repeat(40_000), 'T'))
    expect(row.IsCut).toBe(true)
    for (const text of [row.Grant, row.Entry]) {
      expect(Buffer.byteLength(required(text))).toBeLessThanOrEqual(fieldBytesMax)
      expect(text).not.toContain('\uFFFD')
    }
    expect(rowOf(tokenIssuedEntry('short', 'T')).row).not.toHaveProperty('IsCut')
  })
})

describe('the columns', () => {
  test('are those of the table, of the stream and of the emulated one, with the same types', () => {
    const template = JSON.parse(
      readFileSync('deploy/azure-monitor/ledger.json', 'utf8'),
    ) as Template
    const table = required(template.resources.find(({ type }) => type.endsWith('/tables')))
    const rule = required(
      template.resources.find(({ type }) => type.endsWith('dataCollectionRules')),
    )
    const stream = rule.properties.streamDeclarations?.['Custom-CountersignLedger']
    for (const columns of [table.properties.schema?.columns, stream?.columns]) {
      const types = required(columns).map(({ name, type }) => [name, type] as const)
      expect(Object.fromEntries(types)).toEqual(entryColumns)
      expect(types).toHaveLength(Object.keys(entryColumns).length)
    }
    expect(defaultWorld.collectionRules[0]?.streams[0]?.columns).toEqual(entryColumns)
  })

  test('have no name that Log Analytics keeps for itself', () => {
    const reserved = [
      '_resourceid',
      'id',
      '_subscriptionid',
      'tenantid',
      'type',
      'uniqueid',
      'title',
    ]
    const names = Object.keys(entryColumns).map((name) => name.toLowerCase())
    expect(names.filter((name) => reserved.includes(name))).toEqual([])
    expect(names.filter((name) => !/^[a-z][a-z0-9_]{1,44}$/.test(name))).toEqual([])
  })
})

interface Template {
  readonly resources: readonly {
    readonly type: string
    readonly properties: {
      readonly schema?: { readonly columns: readonly Column[] }
      readonly streamDeclarations?: Readonly<
        Record<string, { readonly columns: readonly Column[] }>
      >
    }
  }[]
}

interface Column {
  readonly name: string
  readonly type: string
}
