import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { unconfirmedSchema } from '../../src/emulator/vault/unconfirmed.ts'
import { faultSchema } from '../../src/emulator/faults.ts'

const guide = readFileSync('docs/emulator.md', 'utf8')

/** Also when a command has failed: the emulator of the guide is a job of the script's shell. */
const stopAll = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"

describe('the commands of the guide', () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'guide-'))
    // In the folder of a user there is no clone: `npx countersign` must find this one.
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${resolve('src/cli/countersign.ts')}" "$@"\n`
    writeFileSync(join(bin, 'npx'), npx)
    chmodSync(join(bin, 'npx'), 0o755)
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  test('run from first to last, and leave nothing running', async () => {
    const blocks = [...guide.matchAll(/^```sh\n(.*?)^```/gms)].map(([, commands]) => commands)
    expect(blocks.length).toBeGreaterThan(5)
    const script = ['set -euo pipefail', stopAll, ...blocks].join('\n')
    const { stdout } = await promisify(execFile)('bash', ['-c', script], {
      cwd: folder,
      timeout: 60_000,
      env: {
        ...process.env,
        PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
      },
    })
    expect(stdout).toContain('"kty":"RSA-HSM"')
    expect(stdout).toContain('"operationName":"KeyGet"')
    expect(stdout).toContain('"kind":"drop-after"')
  })
})

test('the guide names every switch, with its default, and no other', () => {
  const rows = [...guide.matchAll(/^\| `(\w+)` +\| \*\*([^*]+)\*\*/gm)].map(
    ([, name, value]) => [name, value] as const,
  )
  const defaults = Object.entries(unconfirmedSchema.parse({})).map(
    ([name, value]) => [name, value === '' ? 'empty' : String(value)] as const,
  )
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(defaults))
})

test('the guide names every fault, and no other', () => {
  const section = /## Let it misbehave(.*?)## End/s.exec(guide)?.[1] ?? ''
  const rows = [...section.matchAll(/^\| `([\w-]+)`/gm)]
    .map(([, kind]) => kind)
    .filter((kind) => kind !== 'kind')
  expect(new Set(rows)).toEqual(new Set(faultSchema.shape.kind.options))
})
