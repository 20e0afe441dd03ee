import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmulatorEndpoints } from '../../src/emulator/emulator.ts'

let folder: string
const running: ChildProcess[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'emulate-'))
})
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

function emulate(...args: readonly string[]) {
  const child = spawn(process.execPath, ['src/cli/countersign.ts', 'emulate', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  return child
}

const worldFile = () => {
  const file = join(folder, 'world.yaml')
  writeFileSync(
    file,
    [
      'tenants: [{ name: contoso, id: c0c0c0c0-0000-4000-8000-000000000001 }]',
      'resources:',
      '  - uris: [https://vault.azure.net]',
      '    clientId: cfa8b339-82a2-471a-a3c9-0fc0be7a4093',
      '    tenants: [contoso]',
      'vaults: [{ name: contoso-hsm, certificates: [{ name: assert }] }]',
    ].join('\n'),
  )
  return file
}

async function readyOutput(child: ReturnType<typeof emulate>): Promise<string> {
  let output = ''
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    output += chunk.toString()
    if (output.endsWith('ready\n')) return output
  }
  throw new Error(`ended before it was ready: ${output}${await text(child.stderr)}`)
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'says where everything is, and leaves nothing but its log behind on %s',
  async (signal) => {
    const state = join(folder, signal)
    const child = emulate('--world', worldFile(), '--state', state)
    const output = await readyOutput(child)
    const readyFile = join(state, 'emulator.json')
    const endpoints = JSON.parse(readFileSync(readyFile, 'utf8')) as EmulatorEndpoints
    const vault = endpoints.vaults['contoso-hsm'] ?? ''
    expect(output).toContain(vault)
    expect(output).not.toContain(endpoints.control.token)
    expect((statSync(readyFile).mode & 0o777).toString(8)).toBe('600')

    const agent = new Agent({ connect: { ca: readFileSync(endpoints.caFile, 'utf8') } })
    const ask = () => request(`${vault}/keys/assert?api-version=7.4`, { dispatcher: agent })
    expect((await ask()).statusCode).toBe(401)

    const exit = once(child, 'exit')
    child.kill(signal)
    expect(await exit).toEqual([0, null])
    expect([existsSync(readyFile), existsSync(endpoints.caFile)]).toEqual([false, false])
    expect(existsSync(join(endpoints.vaultLogFolder, 'insights-logs-auditevent'))).toBe(true)
    await expect(ask()).rejects.toThrow()
    await agent.destroy()
  },
)

describe('does not start, and says why,', () => {
  const failureOf = async (...args: readonly string[]) => {
    const child = emulate('--state', join(folder, 'refused'), ...args)
    const [errors] = await Promise.all([text(child.stderr), once(child, 'exit')])
    return { code: child.exitCode, errors }
  }

  test('with a world that breaks its rules', async () => {
    const file = join(folder, 'broken.yaml')
    writeFileSync(file, 'tenants: []\nvaults: [{ name: x }]\n')
    const { code, errors } = await failureOf('--world', file)
    expect(code).toBe(1)
    expect(errors).toContain(file)
    expect(errors).toMatch(/tenants: .*; vaults\.0\.name: /)
  })

  test('with a world that is not there', async () => {
    const { code, errors } = await failureOf('--world', join(folder, 'absent.yaml'))
    expect(code).toBe(1)
    expect(errors).toMatch(/^emulate: .*absent\.yaml/)
  })

  test.each([
    [['--log-disorder', '2'], /between 0 and 1/],
    [['--random-seed', 'x'], /whole number/],
    [['--log-shape', 'xml'], /Allowed choices are json-lines, records, array/],
    [['--unconfirmed', 'nonsense=1'], /Unrecognized key: "nonsense"/],
    [['--unconfirmed', 'nonsense'], /NAME=VALUE/],
  ])('with %j', async (args, message) => {
    const { code, errors } = await failureOf(...args)
    expect(code).toBe(1)
    expect(errors).toMatch(message)
  })
})

test('shows an example in its help', async () => {
  const child = emulate('--help')
  expect(await text(child.stdout)).toContain('$ countersign emulate --state')
})
