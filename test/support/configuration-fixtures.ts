import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../fixtures/configuration')

/** When they are looked at: dates in them are before or after. */
export const september2026 = 1_790_000_000

/** One folder under test/fixtures/configuration: its name is the case. */
export interface ConfigurationFixture {
  readonly name: string
  readonly folder: string
  /** What `countersign check` prints in that folder, line by line. */
  readonly expected: readonly string[]
}

export function configurationFixtures(kind: 'valid' | 'invalid'): readonly ConfigurationFixture[] {
  return readdirSync(join(root, kind))
    .toSorted()
    .map((name) => {
      const folder = join(root, kind, name)
      const expected = readFileSync(join(folder, 'expected.txt'), 'utf8').trimEnd().split('\n')
      return { name, folder, expected }
    })
}

/** Runs in another working directory, because `check` names files as the operator does. */
export async function within<Result>(folder: string, run: () => Promise<Result>): Promise<Result> {
  const before = process.cwd()
  process.chdir(folder)
  try {
    return await run()
  } finally {
    process.chdir(before)
  }
}
