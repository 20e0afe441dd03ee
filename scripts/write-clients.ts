// Puts into docs/clients.md which clients work: runs the tests that prove them, and shows one that fails as
// failing. The tests hold the page to what they declare.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientTest, provenClients } from '../test/support/client-rows.ts'
import { describeOf, titleOf, withClients } from '../test/support/clients-page.ts'

/** Vitest's report, as much as is read of it. */
interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[]
      readonly title: string
      readonly status: string
    }[]
  }[]
}

const report = runTests(provenClients.map(({ test }) => test))
const page = readFileSync('docs/clients.md', 'utf8')
writeFileSync('docs/clients.md', await withClients(page, passed))

function runTests(tests: readonly ClientTest[]): Report {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-clients-'))
  const outputFile = join(folder, 'report.json')
  const names = tests.map((test) => titleOf(test).replaceAll(/[^\w ]/g, '\\$&'))
  spawnSync(
    'node_modules/.bin/vitest',
    [
      ...['run', '--reporter=json', `--outputFile=${outputFile}`],
      ...['--testNamePattern', `(${names.join('|')})$`],
      ...new Set(tests.map(({ file }) => file)),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const text = readFileSync(outputFile, 'utf8')
  rmSync(folder, { recursive: true })
  return JSON.parse(text) as Report
}

/** A test that is not there proves nothing. */
function passed(test: ClientTest): boolean {
  const results = report.testResults
    .filter(({ name }) => name.endsWith(test.file))
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(
      ({ ancestorTitles, title }) =>
        title === titleOf(test) && ancestorTitles.at(-1) === describeOf(test),
    )
  return results.length === 1 && results.every(({ status }) => status === 'passed')
}
