import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { byPlace, formatProblem } from '../../../../src/base/configuration-problem.ts'
import { loadWitness } from '../../../../src/config/witness/load-witness.ts'
import { within, witnessFixtures } from '../../../support/configuration-fixtures.ts'
import { readSourceFiles } from '../../../support/source-files.ts'

const invalid = witnessFixtures('invalid')
const valid = witnessFixtures('valid')

const problemsIn = async (folder: string) => {
  const loaded = await within(folder, () => loadWitness('witness.yaml', 'may-be-elsewhere'))
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return { ok: loaded.ok, lines: problems.toSorted(byPlace).map(formatProblem) }
}

describe('witness.yaml', () => {
  test.for(invalid)('$name', async ({ folder, expected }) => {
    expect(await problemsIn(folder)).toEqual({ ok: false, lines: expected })
  })

  test.for(valid)('$name', async ({ folder, expected }) => {
    expect(await problemsIn(folder)).toEqual({ ok: true, lines: expected.slice(0, -1) })
    expect(expected.at(-1)).toBe('The configuration is sound.')
  })

  test('every rule of its own is broken by some fixture', () => {
    const sources = readSourceFiles('src/config/witness/*.ts').map(({ text }) => text)
    const rules = sources.flatMap((text) =>
      [...text.matchAll(/(?:\breport\(\s*|rule: )'([a-z.-]+)'/g)].map(([, rule = '']) => rule),
    )
    const broken = [...invalid, ...valid].flatMap(({ expected }) => expected).join('\n')
    expect(rules.filter((rule) => !broken.includes(`witness.${rule}: `))).toEqual([])
    expect(rules.length).toBeGreaterThan(5)
  })

  test('that is not there is said to be', async () => {
    const loaded = await loadWitness('nowhere/witness.yaml', 'must-be-here')
    const lines = loaded.ok ? [] : loaded.problems.map(formatProblem)
    expect(lines).toEqual([
      'nowhere/witness.yaml:1: witness.unreadable: The configuration of the witness cannot be read. It is not there: check the path, or make it.',
    ])
  })

  test('whose keys must be here says so when the witness starts', async () => {
    const { folder } = required('keys-of-another-machine')
    const loaded = await loadWitness(join(folder, 'witness.yaml'), 'must-be-here')
    expect(loaded.ok ? [] : loaded.problems.map(({ rule }) => rule)).toEqual(['witness.key-file'])
  })

  test('has paths that start at its folder, and is frozen', async () => {
    const { folder } = required('every-setting')
    const loaded = await loadWitness(join(folder, 'witness.yaml'), 'must-be-here')
    expect(loaded.ok && loaded.config).toEqual({
      feed: {
        from: 'service',
        service: {
          origin: 'https://countersign.contoso.example',
          audience: 'api://countersign',
        },
        identity: {
          kind: 'managed-identity',
          clientId: '51000000-0000-4000-8000-0000000000c3',
        },
      },
      headKeyFiles: [resolve(folder, '../../heads.pem'), resolve(folder, '../../heads.pem')],
      key: { in: 'file', file: join(folder, 'witness-key.pem') },
      storeFile: join(folder, 'witnessed.json'),
      ledger: '6LZqAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      anchors: [{ file: join(folder, 'witnessed.jsonl') }, { file: '/mnt/worm/witnessed.jsonl' }],
      everySeconds: 60,
      silentAfterSeconds: 900,
      reconcile: {
        sources: [
          { kind: 'vault-log', table: tableOf('AZKVAuditLogs') },
          { kind: 'signin-log', table: tableOf('AADServicePrincipalSignInLogs') },
          { kind: 'audit-log', path: join(folder, 'audits') },
          { kind: 'vault-log', path: join(folder, 'insights-logs-auditevent') },
        ],
        credential: 'workload-identity',
        cloud: expect.objectContaining({ name: 'usgov' }) as object,
        keys: ['https://contoso-hsm.vault.usgovcloudapi.net/keys/partner-signing'],
        applications: ['11111111-0000-4000-8000-000000000001'],
        expect: {
          principals: ['51000000-0000-4000-8000-000000000001'],
          addresses: ['203.0.113.0/24'],
          also: [{ principal: '51000000-0000-4000-8000-00000000000b' }],
        },
        everySeconds: 600,
        graceMinutes: 45,
      },
      metricsFile: join(folder, 'witness.prom'),
    })
    expect(loaded.ok && Object.isFrozen(loaded.config.anchors)).toBe(true)
  })

  test('of yesterday names files of a vault alone, and expects nothing', async () => {
    const { folder } = required('the-short-form-of-the-logs')
    const loaded = await loadWitness(join(folder, 'witness.yaml'), 'may-be-elsewhere')
    expect(loaded.ok && loaded.config.reconcile).toMatchObject({
      sources: [{ kind: 'vault-log', path: join(folder, 'insights-logs-auditevent') }],
      credential: 'managed-identity',
      cloud: { name: 'public' },
      expect: { principals: [], addresses: [], also: [] },
    })
  })

  test('has defaults: it looks each half minute, and five heads a minute apart may be missing', async () => {
    const { folder } = required('smallest')
    const loaded = await loadWitness(join(folder, 'witness.yaml'), 'must-be-here')
    expect(loaded.ok && loaded.config).toMatchObject({
      feed: { service: { audience: 'https://countersign.contoso.example' } },
      everySeconds: 30,
      silentAfterSeconds: 300,
    })
    expect(loaded.ok && loaded.config).not.toHaveProperty('reconcile')
  })

  test.each([
    ['a-ledger-in-a-database', 'postgres://auditor@db.contoso.example/ledger'],
    ['a-ledger-in-a-file', '/srv/countersign/countersign.db'],
  ])('takes %s where it is', async (name, ledger) => {
    const loaded = await loadWitness(join(required(name).folder, 'witness.yaml'), 'must-be-here')
    expect(loaded.ok && loaded.config.feed).toEqual({ from: 'ledger', ledger })
  })
})

describe('the JSON Schema of witness.yaml', () => {
  const schema = JSON.parse(readFileSync(resolve('schemas/witness.schema.json'), 'utf8')) as object
  const accepts = new Ajv({ strict: true, strictRequired: false }).compile(schema)
  const read = (folder: string): unknown =>
    parse(readFileSync(join(folder, 'witness.yaml'), 'utf8'))

  test.for(valid)('accepts the valid $name', ({ folder }) => {
    expect(accepts(read(folder))).toBe(true)
  })

  test.for([
    'numbers-are-out-of-range',
    'settings-are-misspelt',
    'the-file-is-a-list',
    'the-ledger-has-another-name',
    'there-are-no-head-keys',
    'there-is-no-anchor',
    'there-is-no-key-and-no-store',
  ])('refuses %s', (name) => {
    expect(accepts(read(resolve('test/fixtures/witness/invalid', name)))).toBe(false)
  })
})

const tableOf = (table: string) => ({
  workspace: 'e0000000-0000-4000-8000-0000000000aa',
  table,
  endpoint: 'https://api.loganalytics.us',
  audience: 'https://api.loganalytics.us',
})

function required(name: string) {
  const found = valid.find((one) => one.name === name)
  if (found === undefined) throw new TypeError(`no fixture ${name}`)
  return found
}
