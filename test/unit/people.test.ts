import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { clientSecretIn, peopleBy } from '../../src/people.ts'
import { fixedClock } from '../support/fixed-clock.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-auditing-'))
  file = join(folder, 'client-secret')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe('the client secret', () => {
  test('is what its file holds', async () => {
    writeFileSync(file, 'sixteen-letters!\n')
    expect((await clientSecretIn(file)).reveal()).toBe('sixteen-letters!')
  })

  test.each(['', '\n', 'fifteen-letters\n'])('is none where it holds %j', async (text) => {
    writeFileSync(file, text)
    await expect(clientSecretIn(file)).rejects.toThrow('does not hold a client secret any more')
  })

  test('is none where there is no file', async () => {
    await expect(clientSecretIn(file)).rejects.toThrow('cannot be read')
  })
})

describe('people', () => {
  const configOf = (some: object, listen: object = {}) =>
    ({
      publicUrl: 'https://countersign.example',
      listen,
      audit: {
        oidc: {
          issuer: 'https://issuer.example',
          clientId: 'page',
          clientSecretFile: file,
          rules: [{ claim: 'oid', anyOf: ['a'] }],
          ...some,
        },
      },
    }) as unknown as Config
  const clock = fixedClock(1_795_752_000)
  beforeEach(() => {
    writeFileSync(file, 'sixteen-letters!')
  })

  test('sign in nowhere without the section', async () => {
    expect(await peopleBy({ ...configOf({}), audit: undefined }, undefined, clock)).toBeUndefined()
  })

  test('are who they were while nothing about them changes, and others otherwise', async () => {
    const before = await peopleBy(configOf({}), undefined, clock)
    expect(await peopleBy(configOf({}), before, clock)).toBe(before)
    const changed = { rules: [{ claim: 'oid', anyOf: ['b'] }] }
    expect(await peopleBy(configOf(changed), before, clock)).not.toBe(before)
    writeFileSync(file, 'another-sixteen-letters!')
    expect(await peopleBy(configOf({}), before, clock)).not.toBe(before)
  })

  test('are told by their networks where callers are', async () => {
    const addressesOf = async (listen: object) =>
      (await peopleBy(configOf({}, listen), undefined, clock))?.addresses
    expect(await addressesOf({ connectionsPerAddressMax: 5 })).toBe('of-somebody')
    expect(await addressesOf({})).toBe('of-everybody')
  })
})
