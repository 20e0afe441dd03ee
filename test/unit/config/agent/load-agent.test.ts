import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { byPlace, formatProblem } from '../../../../src/base/configuration-problem.ts'
import { loadAgent } from '../../../../src/config/agent/load-agent.ts'
import { agentFixtures, within } from '../../../support/configuration-fixtures.ts'
import { createClientCertificate } from '../../../support/client-certificate.ts'
import { readSourceFiles } from '../../../support/source-files.ts'
import { pemFrom } from '../../../../src/emulator/x509/certificate.ts'

const invalid = agentFixtures('invalid')
const valid = agentFixtures('valid')

const problemsIn = async (folder: string) => {
  const loaded = await within(folder, () => loadAgent('agent.yaml', 'may-be-elsewhere'))
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return { ok: loaded.ok, lines: problems.toSorted(byPlace).map(formatProblem) }
}

describe('agent.yaml', () => {
  test.for(invalid)('$name', async ({ folder, expected }) => {
    expect(await problemsIn(folder)).toEqual({ ok: false, lines: expected })
  })

  test.for(valid)('$name', async ({ folder, expected }) => {
    expect(await problemsIn(folder)).toEqual({ ok: true, lines: expected.slice(0, -2) })
    expect(expected.at(-1)).toBe('The configuration is sound.')
  })

  test('every rule of its own is broken by some fixture', () => {
    const sources = readSourceFiles('src/config/agent/*.ts').map(({ text }) => text)
    const rules = sources.flatMap((text) =>
      [...text.matchAll(/(?:\breport\(\s*|rule: )'([a-z.-]+)'/g)].map(([, rule = '']) => rule),
    )
    const broken = invalid.flatMap(({ expected }) => expected).join('\n')
    expect(rules.filter((rule) => !broken.includes(`agent.${rule}: `))).toEqual([])
    expect(rules.length).toBeGreaterThan(3)
  })

  const examples = globSync('examples/*/*.yaml').filter((file) =>
    readFileSync(file, 'utf8').includes('agent.schema.json'),
  )

  test.for(examples)('of the example %s has no problem', async (file) => {
    const loaded = await loadAgent(file, 'may-be-elsewhere')
    expect(loaded).toMatchObject({ ok: true, warnings: [] })
  })

  test('is among the examples of each who needs one', () => {
    expect(examples.length).toBeGreaterThan(4)
  })

  test('that is not there is said to be', async () => {
    const loaded = await loadAgent('nowhere/agent.yaml', 'must-be-here')
    const lines = loaded.ok ? [] : loaded.problems.map(formatProblem)
    expect(lines).toEqual([
      'nowhere/agent.yaml:1: agent.unreadable: The configuration of the agent cannot be read. It is not there: check the path, or make it.',
    ])
  })

  test('has paths that start at its folder, one text for each resource, and its defaults', async () => {
    const { folder } = required('every-setting')
    const loaded = await loadAgent(join(folder, 'agent.yaml'), 'may-be-elsewhere')
    expect(loaded.ok && loaded.config).toMatchObject({
      service: { caFile: join(folder, 'ca.pem'), audience: 'api://countersign' },
      resources: [
        { resource: 'https://orders.example/.default', scope: 'https://orders.example/.default' },
        { resource: '33333333-0000-4000-8000-000000000002/.default' },
      ],
    })
    const smallest = await loadAgent(
      join(required('smallest').folder, 'agent.yaml'),
      'must-be-here',
    )
    expect(smallest.ok && smallest.config).toMatchObject({
      service: { audience: 'https://countersign.contoso.example' },
      listen: { host: '127.0.0.1', port: 0 },
    })
    expect(smallest.ok && Object.isFrozen(smallest.config.resources)).toBe(true)
  })

  test('whose files must be here says so when the workload starts', async () => {
    const { folder } = required('certificate-of-another-machine')
    const loaded = await loadAgent(join(folder, 'agent.yaml'), 'must-be-here')
    expect(loaded.ok).toBe(false)
  })

  test('names a certificate and its key, and no other key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-agent-'))
    const [own, other] = [await createClientCertificate(), await createClientCertificate()]
    writeFileSync(join(folder, 'own.pem'), pemFrom('CERTIFICATE', own.der))
    writeFileSync(join(folder, 'own.key'), own.privateKeyPem)
    writeFileSync(join(folder, 'other.key'), other.privateKeyPem)
    const { folder: fixture } = required('certificate-of-another-machine')
    const written = readFileSync(join(fixture, 'agent.yaml'), 'utf8')
    const rulesWith = async (key: string) => {
      const text = written
        .replace(/\/run\/spiffe\/svid.key/, key)
        .replace(/\/run\S+pem/, './own.pem')
      writeFileSync(join(folder, 'agent.yaml'), text)
      const loaded = await loadAgent(join(folder, 'agent.yaml'), 'must-be-here')
      return loaded.ok ? [] : loaded.problems.map(({ rule }) => rule)
    }
    expect(await rulesWith('./own.key')).toEqual([])
    expect(await rulesWith('./other.key')).toEqual(['agent.key-of-another-certificate'])
    rmSync(folder, { recursive: true })
  })
})

describe('the JSON Schema of agent.yaml', () => {
  const schema = JSON.parse(readFileSync(resolve('schemas/agent.schema.json'), 'utf8')) as object
  const accepts = new Ajv({ strict: true, strictRequired: false }).compile(schema)
  const read = (folder: string): unknown => parse(readFileSync(join(folder, 'agent.yaml'), 'utf8'))

  test.for(valid)('accepts the valid $name', ({ folder }) => {
    expect(accepts(read(folder))).toBe(true)
  })

  test.for([
    'an-identity-is-of-no-kind',
    'an-identity-is-two-things',
    'nothing-is-said-but-the-service',
    'settings-are-misspelt',
    'a-socket-is-open-to-all',
    'the-agent-listens-to-others',
    'the-file-is-a-list',
  ])('refuses %s', (name) => {
    expect(accepts(read(resolve('test/fixtures/agent/invalid', name)))).toBe(false)
  })
})

test('every kind of identity is in a fixture', () => {
  const form = readFileSync('src/config/agent/agent-form.ts', 'utf8')
  const kinds = [...form.matchAll(/kind: z\.literal\('([a-z-]+)'\)/g)].map(([, kind = '']) => kind)
  const written = globSync('test/fixtures/agent/valid/*/agent.yaml').map((file) =>
    readFileSync(file, 'utf8'),
  )
  expect(kinds.filter((kind) => !written.some((text) => text.includes(`kind: ${kind}`)))).toEqual(
    [],
  )
  expect(kinds.length).toBeGreaterThan(4)
})

function required(name: string) {
  const found = valid.find((one) => one.name === name)
  if (found === undefined) throw new TypeError(`no fixture ${name}`)
  return found
}
