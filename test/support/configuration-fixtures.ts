import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const fixtures = resolve(import.meta.dirname, '../fixtures')

/** When they are looked at: dates in them are before or after. */
export const september2026 = 1_790_000_000

/** One folder under test/fixtures: its name is the case. */
export interface ConfigurationFixture {
  readonly name: string
  readonly folder: string
  /** What the check of its file prints in that folder, line by line. */
  readonly expected: readonly string[]
}

/** Of `countersign check`. */
export const configurationFixtures = (kind: 'valid' | 'invalid') =>
  fixturesIn(join(fixtures, 'configuration', kind))

/** Of `countersign agent --check`. */
export const agentFixtures = (kind: 'valid' | 'invalid') =>
  fixturesIn(join(fixtures, 'agent', kind))

/** Of `countersign witness --check`; the keys that several of them name are beside the two folders. */
export const witnessFixtures = (kind: 'valid' | 'invalid') =>
  fixturesIn(join(fixtures, 'witness', kind))

function fixturesIn(root: string): readonly ConfigurationFixture[] {
  return readdirSync(root)
    .toSorted()
    .map((name) => {
      const folder = join(root, name)
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
