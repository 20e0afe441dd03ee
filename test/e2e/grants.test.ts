import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadAll } from '../../src/cli/load-all.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { openLedgerAt } from '../support/postgres-store.ts'

const program = join(import.meta.dirname, '../../bin/countersign.js')
const quickstart = join(import.meta.dirname, '../../examples/quickstart')
const daysAgo = (days: number) => Date.now() - days * 86_400_000

let folder: string
let server: TestPostgres
let entries: readonly Entry[]

const grantFile = (name: string) => `
grant: ${name}
caller: { issuer: github, claims: { repository_id: '1' } }
may: [{ application: fabrikam-events, tenant: any-listed, scopes: [https://eventhubs.azure.net/.default] }]
`

beforeAll(async () => {
  server = await startPostgres()
  folder = mkdtempSync(join(tmpdir(), 'countersign-grants-'))
  cpSync(quickstart, folder, { recursive: true })
  for (const name of ['old-export', 'new-export']) {
    writeFileSync(join(folder, 'grants', `${name}.yaml`), grantFile(name))
  }
  const loaded = await loadAll(join(folder, 'countersign.yaml'), 0, 'may-be-elsewhere')
  if (!loaded.ok) throw new Error('the quick start does not load')
  const load = {
    kind: 'policy.loaded',
    grants: 3,
    broken: 0,
    sha256: loaded.policy.sha256,
  } as const
  entries = [
    { ...load, sha256: 'before', atMs: daysAgo(200) },
    { ...load, atMs: daysAgo(10), added: ['new-export'], removed: [], changed: [] },
    {
      kind: 'request.granted',
      atMs: daysAgo(5),
      attempt: '1',
      caller: { issuer: 'github', subject: 'repo:contoso/billing' },
      grant: 'billing-export',
      application: 'fabrikam-events',
      tenant: 'fab00000-0000-4000-8000-000000000002',
    },
  ]
  const ledger = await createSqliteLedger({ file: join(folder, 'countersign.db') })
  await ledger.append(entries)
  await ledger.close()
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await server.stop()
})

async function grants(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, 'grants', ...args], { cwd: folder })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

describe('countersign grants', () => {
  test('lists each with what it allows, and when it was last used', async () => {
    const { out, error, code } = await grants()
    expect(out).toMatch(/^grant billing-export, last used \d{4}-.*, known since /m)
    expect(out).toMatch(/^grant old-export, never used, known since /m)
    expect(out).toContain(
      '  token fabrikam-events https://eventhubs.azure.net/.default in fab00000-0000-4000-8000-000000000002\n',
    )
    expect({ error, code }).toEqual({ error: '', code: 0 })
  })

  test('names those not used for a while, and calls a younger one young', async () => {
    const { out, code } = await grants('--unused', '90d')
    expect(out).toMatch(
      /^UNUSED: 1 of 3 grants\.\ngrant old-export, never used, .*\n {2}token .*\ngrant new-export, .*: young\n$/,
    )
    expect(code).toBe(1)
    const longer = await grants('--unused', '365d')
    expect(longer.out).toMatch(/^NONE UNUSED: 0 of 3 grants\.\n/)
    expect(longer.code).toBe(0)
  })

  test('reads a ledger in PostgreSQL, and tells programs all of it', async () => {
    const url = await server.createDatabase()
    const ledger = await openLedgerAt(url)
    await ledger.append(entries)
    await ledger.close()
    writeFileSync(join(folder, 'url'), url)
    const { out, code } = await grants('--ledger', 'url', '--unused', '90d', '--json')
    expect(JSON.parse(out)).toMatchObject({
      grants: [
        { grant: 'billing-export', issuer: 'github', standing: 'used' },
        { grant: 'new-export', standing: 'young' },
        { grant: 'old-export', standing: 'unused', powers: [{ tenants: [expect.any(String)] }] },
      ],
    })
    expect(code).toBe(1)
  })

  test.for([
    ['a ledger that is not there', ['--ledger', 'none.db'], 'none.db'],
    ['a configuration that is not there', ['--config', 'none.yaml'], 'does not load'],
    ['a period that is none', ['--unused', 'long'], 'not a number of days'],
  ] as const)('decides nothing with %s', async ([, args, message]) => {
    const { out, error, code } = await grants(...args)
    expect(error).toContain(message)
    expect({ out, code }).toEqual({ out: '', code: 2 })
  })
})
