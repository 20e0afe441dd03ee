import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findCallerToken } from '../../../src/cli/caller-token.ts'
import type { CallerEnvironment } from '../../../src/config/environment.ts'

const tokenIn = (file: string | undefined, environment: CallerEnvironment = {}) =>
  findCallerToken(file, 'https://countersign.contoso.example', environment)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-token-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('the file of a caller token', () => {
  test('has it, without the line break behind it', async () => {
    const file = join(folder, 'token')
    writeFileSync(file, 'eyJ.own.token\n')
    expect((await tokenIn(file)).reveal()).toBe('eyJ.own.token')
    expect((await tokenIn(undefined, { tokenFile: file })).reveal()).toBe('eyJ.own.token')
  })

  test.each([
    ['short enough for the name of a file', 'eyJ.eve-was-here.x'],
    ['too long for one', `eyJ.eve-was-here.${'x'.repeat(5000)}`],
  ])('is not repeated where it is the token itself, %s', async (_, token) => {
    for (const asked of [tokenIn(token), tokenIn(undefined, { tokenFile: token })]) {
      const error = await asked.catch((reason: unknown) => reason)
      expect(String(error)).toMatch(/--token-file or COUNTERSIGN_TOKEN_FILE cannot be read/)
      expect(String(error)).not.toContain('eve-was-here')
    }
  })
})
