import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { check } from '../../../src/cli/check.ts'
import { reportLines } from '../../../src/cli/check-report.ts'
import {
  configurationFixtures,
  september2026,
  within,
} from '../../support/configuration-fixtures.ts'
import { readSourceFiles } from '../../support/source-files.ts'

const invalid = configurationFixtures('invalid')
const valid = configurationFixtures('valid')

const problemLine = /^[^\s:]+:[1-9]\d*: (?:warning: )?(?<rule>[a-z-]+\.[a-z0-9-]+): \S.*[.?]$/

/** What to do: what the value must be, a step to take, or the name that was meant. */
const remedy =
  /must be |did you mean|\b(?:add|remove|keep|write|name|use|make|leave|grant|check|put|give|listen|rename|save|correct|indent|renew)\b/

const problemsOf = (lines: readonly string[]) => lines.filter((line) => /^[^\s:]+:\d+: /.test(line))

async function run(folder: string) {
  const report = await within(folder, () => check('countersign.yaml', september2026))
  return { lines: reportLines(report, 'text'), errors: report.errors }
}

describe('countersign check on what is wrong', () => {
  test('there are at least 30 ways to be wrong', () => {
    expect(invalid.length).toBeGreaterThanOrEqual(30)
  })

  test.for(invalid)('$name', async ({ folder, expected }) => {
    const { lines, errors } = await run(folder)
    expect(lines).toEqual(expected)
    expect(errors).toBeGreaterThan(0)
  })

  test.for(invalid)('every message of $name has file, line, rule and remedy', ({ expected }) => {
    const problems = problemsOf(expected)
    expect(problems).toHaveLength(expected.length - 1)
    for (const line of problems) {
      expect(line).toMatch(problemLine)
      expect(line).toMatch(remedy)
      expect(line).not.toContain('Invalid')
    }
  })

  test('every rule in the source is broken by some fixture', () => {
    const sources = readSourceFiles('src/{base,config,policy,yaml}/*.ts')
      // Not a file that `check` reads: its rules are broken in test/e2e/probe.test.ts.
      .filter(({ path }) => path !== 'src/config/probes-file.ts')
      .map(({ text }) => text)
    const rules = sources.flatMap((text) =>
      [
        ...text.matchAll(
          /(?:\breport\(\s*(?:\d+,\s*|line,\s*)?|rule: )'([a-z-]+(?:\.[a-z0-9-]+)?)'/g,
        ),
      ].map(([, rule = '']) => rule),
    )
    const broken = [...invalid, ...valid].flatMap(({ expected }) => problemsOf(expected).join('\n'))
    const missing = rules.filter((rule) => !broken.some((text) => text.includes(`${rule}: `)))
    expect(rules.length).toBeGreaterThan(30)
    // A file of more than a million characters has its test where YAML is read. A private key is in
    // no fixture: its test is in pem-files.test.ts.
    expect(missing.toSorted()).toEqual(['key-of-another-certificate', 'yaml.too-long'])
  })
})

describe('countersign check on what is right', () => {
  test.for(valid)('$name', async ({ folder, expected }) => {
    const { lines, errors } = await run(folder)
    expect(lines).toEqual(expected)
    expect(errors).toBe(0)
  })

  test('says of an application that hands out assertions what they can do', () => {
    const said = valid.flatMap(({ expected }) => expected)
    expect(said.join('\n')).toContain('every permission of it in these tenants')
  })
})

describe('countersign check from the command line', () => {
  const program = resolve(import.meta.dirname, '../../../bin/countersign.js')
  const spawn = (folder: string, ...args: string[]) =>
    spawnSync(process.execPath, [program, 'check', ...args], { cwd: folder, encoding: 'utf8' })
  const fixture = (name: string) => {
    const found = [...invalid, ...valid].find((one) => one.name === name)
    if (found === undefined) throw new TypeError(`no fixture ${name}`)
    return found
  }

  test('prints every problem and exits with 1', () => {
    const { folder, expected } = fixture('configuration-and-grants-are-broken')
    const { status, stdout, stderr } = spawn(folder)
    expect({ status, stderr, lines: stdout.trimEnd().split('\n') }).toEqual({
      status: 1,
      stderr: '',
      lines: expected,
    })
  })

  test('exits with 0 when all that is to be said is a warning', () => {
    const { folder, expected } = fixture('warnings-alone')
    const { status, stdout } = spawn(folder, '--config', 'countersign.yaml')
    expect({ status, lines: stdout.trimEnd().split('\n') }).toEqual({ status: 0, lines: expected })
  })

  test('annotates a pull request: the same problems for GitHub and for GitLab, and the exit code', () => {
    const { folder, expected } = fixture('configuration-and-grants-are-broken')
    const github = spawn(folder, '--format', 'github')
    const gitlab = spawn(folder, '--format', 'gitlab')
    const issues = JSON.parse(gitlab.stdout) as readonly { readonly check_name: string }[]
    const rules = problemsOf(expected).map((line) => problemLine.exec(line)?.groups?.['rule'])
    expect(issues.map(({ check_name }) => check_name)).toEqual(rules)
    const commands = github.stdout.split('\n').filter((line) => line.startsWith('::error file='))
    expect(commands.map((line) => /,title=([^:]+)::/.exec(line)?.[1])).toEqual(rules)
    expect([github.status, gitlab.status]).toEqual([1, 1])
  })

  test('names the formats that there are', () => {
    const { status, stderr } = spawn('.', '--format', 'junit')
    expect(status).not.toBe(0)
    expect(stderr).toContain('text, github, gitlab')
  })

  test('says which variable of the environment is wrong, without a stack', () => {
    const { status, stderr } = spawnSync(process.execPath, [program, 'check'], {
      encoding: 'utf8',
      env: { ...process.env, COUNTERSIGN_LOG_LEVEL: 'loud' },
    })
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /^countersign: COUNTERSIGN_LOG_LEVEL must be one of [a-z, ]+\.\nRun .*\n$/,
    )
  })

  test('names files as the operator did', () => {
    const { folder } = fixture('a-grant-names-no-issuer')
    const { stdout } = spawn('/', '--config', `${folder}/countersign.yaml`)
    expect(stdout).toContain(`${folder}/grants/orders.yaml:3: grant.unknown-issuer: `)
  })
})
