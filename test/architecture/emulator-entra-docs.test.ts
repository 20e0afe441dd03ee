import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { blockSchema } from '../../src/emulator/entra/blocks.ts'
import { tokenEndpointDialsSchema } from '../../src/emulator/entra/dials.ts'
import { aadstsCodes, oauthErrorOf } from '../../src/emulator/entra/refusal.ts'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import { oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

const page = readFileSync(new URL('../../docs/emulator-entra.md', import.meta.url), 'utf8')

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
})
afterAll(() => emulator.stop())

test('the table of codes is the one in the code', () => {
  const rows = [...page.matchAll(/^\| (\d+) +\| `(\w+)` /gm)].map(([, code, error]) => [
    Number(code),
    error,
  ])
  expect(rows).toEqual(aadstsCodes.map((code) => [code, oauthErrorOf(code)]))
})

test('the table of dials has every dial with its default', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` +\| `(.+?)` +\|/gm)]
  const defaults = tokenEndpointDialsSchema.parse({})
  expect(rows.map(([, dial]) => dial)).toEqual(Object.keys(defaults))
  for (const [, dial = '', value = ''] of rows) {
    const plain =
      value.startsWith('[') || /^\d/.test(value) ? (JSON.parse(value) as unknown) : value
    expect(plain).toEqual(defaults[dial as keyof typeof defaults])
  }
})

test('every wrong token and every block has its word on the page', () => {
  const wrong = mintOrderSchema.shape.wrong.unwrap().options
  for (const word of [...wrong, ...blockSchema.shape.reason.options]) {
    expect(page).toContain(`\`${word}\``)
  }
})

test('every request on the page works as it stands', async () => {
  const requests = [...page.matchAll(/```control\n(.+?)```/gs)].flatMap(([, block = '']) =>
    block.trim().split('\n'),
  )
  expect(requests.length).toBeGreaterThan(15)
  for (const line of requests) {
    const [, request = '', body] = /^(\w+ \S+)(?: (.+))?$/.exec(line) ?? []
    const sent = body === undefined ? undefined : (JSON.parse(body) as unknown)
    await emulator.control(request, sent)
  }
})
