import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** What a verb loads is asked of the process: what is only imported from somewhere far down counts too. */

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-imports-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

interface Loaded {
  readonly status: number | null
  readonly packages: ReadonlySet<string>
  /** Rooms of `src`. */
  readonly rooms: ReadonlySet<string>
}

function loadedBy(...args: readonly string[]): Loaded {
  const file = join(folder, 'modules')
  const { status } = spawnSync(
    process.execPath,
    ['--import', './test/support/report-imports.ts', 'src/cli/countersign.ts', ...args],
    { env: { MODULES_FILE: file }, timeout: 60_000 },
  )
  const urls = readFileSync(file, 'utf8').split('\n')
  const named = (pattern: RegExp) =>
    new Set(urls.flatMap((url) => pattern.exec(url)?.slice(1, 2) ?? []))
  return {
    status,
    packages: named(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//),
    rooms: named(/\/src\/([^/]+)\//),
  }
}

const frugal = [
  { args: ['--help'], packages: ['commander'] },
  { args: ['--version'], packages: ['commander'] },
  {
    args: ['check', '--config', 'examples/quickstart/countersign.yaml'],
    packages: ['commander', 'yaml', 'zod'],
  },
  { args: ['diff', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['explain', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['grants', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['token', '--help'], packages: ['commander', 'zod'] },
  { args: ['assertion', '--help'], packages: ['commander', 'zod'] },
  { args: ['agent', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['revoke', '--help'], packages: ['commander', 'zod'] },
  { args: ['probe', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['reconcile', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['attempt', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['ledger', 'verify', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['witness', '--help'], packages: ['commander', 'yaml', 'zod'] },
  { args: ['emulate', '--help'], packages: ['commander'] },
  { args: ['demo', '--help'], packages: ['commander', 'zod'] },
] as const

test.each(frugal)(
  'countersign $args loads what it uses, and nothing else',
  ({ args, packages }) => {
    const loaded = loadedBy(...args)
    expect(loaded.status).toBe(0)
    expect([...loaded.packages].sort()).toEqual(packages)
    expect(loaded.rooms).not.toContain('emulator')
  },
)

test('what is loaded is seen: the service loads its SDKs, and a client loads none of it', () => {
  const service = loadedBy('serve', '--help')
  expect([...service.packages]).toEqual(
    expect.arrayContaining(['@azure/keyvault-keys', 'express', 'undici']),
  )
  expect([...service.rooms]).toEqual(expect.arrayContaining(['http', 'issuance', 'signer']))
  expect(service.rooms).not.toContain('emulator')
  // Not before it is known what is needed of the slowest, and whether a database is.
  expect([...service.packages]).not.toContain('@azure/identity')
  expect([...service.packages]).not.toContain('pg')
  expect([...service.packages]).not.toContain('@azure/monitor-ingestion')
  expect([...service.packages]).not.toContain('@azure/monitor-query-logs')
  expect([...loadedBy('token', '--help').rooms].sort()).toEqual([
    // How a job asks its platform, and no more of it.
    'agent',
    'base',
    'cli',
    'config',
    'telemetry',
  ])
})

test('every verb is asked', () => {
  const help = spawnSync(process.execPath, ['src/cli/countersign.ts', '--help'], {
    encoding: 'utf8',
  })
  const commands = /^Commands:\n(.*)/ms.exec(help.stdout)?.[1] ?? ''
  const verbs = [...commands.matchAll(/^ {2}([a-z]+)/gm)].map(([, verb = '']) => verb)
  const asked = frugal.map(({ args: [verb] }) => verb).filter((verb) => !verb.startsWith('-'))
  expect(verbs.toSorted()).toEqual([...asked, 'help', 'serve'].toSorted())
})
