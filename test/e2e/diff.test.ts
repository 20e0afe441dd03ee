import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { rootCertificates } from 'node:tls'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const program = join(import.meta.dirname, '../../bin/countersign.js')
const quickstart = join(import.meta.dirname, '../../examples/quickstart')

let folder: string

/** Two copies of the quick start, one to be changed. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-diff-'))
  for (const copy of ['old', 'new']) cpSync(quickstart, join(folder, copy), { recursive: true })
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

async function diff(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, 'diff', ...args], { cwd: folder })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

function edit(file: string, from: string, to: string): void {
  const path = join(folder, 'new', file)
  const before = readFileSync(path, 'utf8')
  expect(before).toContain(from)
  writeFileSync(path, before.replace(from, to))
}

const grantFile = 'grants/billing-export.yaml'
const widerRef = ['ref: refs/heads/main', 'ref: { like: "refs/heads/*" }'] as const

describe('countersign diff', () => {
  test('finds two copies equal, wherever they are', async () => {
    expect(await diff('old', 'new/countersign.yaml')).toEqual({
      out: 'NOTHING WIDENED: nobody can do what they could not do before.\n',
      error: '',
      code: 0,
    })
  })

  test('names a widening of a grant one way, and no widening the other way', async () => {
    edit(grantFile, ...widerRef)
    const wider = await diff('old', 'new')
    expect(wider.out).toBe(
      'WIDENED: 1 part lets callers do what they could not do before.\n' +
        'grant billing-export\n' +
        '  claim ref may also be like "refs/heads/*"\n' +
        '  gives token fabrikam-events https://eventhubs.azure.net/.default in fab00000-0000-4000-8000-000000000002\n',
    )
    expect(wider.code).toBe(1)
    const narrower = await diff('new', 'old')
    expect(narrower.out).toBe(
      'NOTHING WIDENED: nobody can do what they could not do before.\n' +
        'Narrowed, or changed: grant billing-export\n',
    )
    expect(narrower.code).toBe(0)
  })

  test('names what countersign.yaml widens by itself', async () => {
    edit('countersign.yaml', 'name: partner-signing', 'name: partner-signing, requireHsm: false')
    const { out, code } = await diff('old', 'new')
    expect(out).toContain(
      'certificate partners\n  requireHsm: changed, and which way is not known\n',
    )
    expect(code).toBe(1)
  })

  test('compares roots by what is in their files', async () => {
    edit('countersign.yaml', 'publicUrl:', 'trust: { caFiles: [./roots.pem] }\npublicUrl:')
    cpSync(join(folder, 'new'), join(folder, 'old'), { recursive: true })
    const [one = '', other = ''] = rootCertificates
    expect((await diff('old', 'new')).code).toBe(0)
    writeFileSync(join(folder, 'new/roots.pem'), one)
    writeFileSync(join(folder, 'old/roots.pem'), one)
    expect((await diff('old', 'new')).code).toBe(0)
    writeFileSync(join(folder, 'old/roots.pem'), other)
    expect((await diff('old', 'new')).code).toBe(1)
  })

  test('tells programs the whole of it', async () => {
    edit(grantFile, ...widerRef)
    const { out, code } = await diff('old', 'new', '--json')
    expect(JSON.parse(out)).toMatchObject({
      widened: {
        grants: [{ grant: 'billing-export', steps: [{ step: 'claim-widened', claim: 'ref' }] }],
        configuration: [],
      },
      narrowed: { grants: [], configuration: [] },
      shared: [],
    })
    expect(code).toBe(1)
  })

  test('says which callers of a ledger gain something, and what that takes', async () => {
    edit(grantFile, ...widerRef)
    const ledger = await createSqliteLedger({ file: join(folder, 'ledger.db') })
    const decision = {
      kind: 'request.granted',
      atMs: 1,
      application: 'fabrikam-events',
      tenant: 'fab00000-0000-4000-8000-000000000002',
    } as const
    const caller = { issuer: 'github', subject: 'repo:contoso/billing:ref:refs/heads/main' }
    await ledger.append([
      { ...decision, attempt: '1', caller, grant: 'billing-export' },
      { ...decision, attempt: '2', caller: { ...caller, subject: 'repo:\nx' }, grant: 'gone' },
    ])
    await ledger.close()
    const { out, code } = await diff('old', 'new', '--ledger', 'ledger.db')
    // Whoever was named had it before, and only others gain by another ref.
    expect(out).toMatch(/^Of 2 callers in the ledger 1 can or may newly do something\.$/m)
    expect(out).toMatch(
      /^caller github "repo:\?x"\n {2}may gain by grant billing-export, if repository_id is "123456" and ref is like "refs\/heads\/\*": token /m,
    )
    expect(code).toBe(1)
    const absent = await diff('old', 'new', '--ledger', 'none.db')
    expect(absent).toMatchObject({ out: '', code: 2 })
  })

  test('compares nothing where a grant or a file does not load, and says what is wrong as check does', async () => {
    edit(grantFile, 'issuer: github', 'issuer: gihub')
    const broken = await diff('old', 'new')
    expect(broken.out).toBe('')
    expect(broken.error).toContain('new/grants/billing-export.yaml:2: grant.unknown-issuer: ')
    expect(broken.error).toContain('diff: nothing is compared: see above')
    expect(broken.code).toBe(2)
    expect(await diff('none', 'old')).toMatchObject({ out: '', code: 2 })
    expect(await diff('old')).toMatchObject({ out: '', code: 2 })
    expect(await diff('old', 'old', '--jsn')).toMatchObject({ out: '', code: 2 })
  })
})
