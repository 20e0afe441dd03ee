import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { check } from '../../src/cli/check.ts'
import { configForm } from '../../src/config/config-form.ts'
import { environmentVariables } from '../../src/config/environment.ts'
import { createCommitSeconds, createMetrics } from '../../src/telemetry/metrics.ts'
import { provenClients } from '../support/client-rows.ts'
import { withClients } from '../support/clients-page.ts'
import { withQuotedFiles } from '../support/readme.ts'
import { gaugesAtRest } from '../support/gauges.ts'

const read = (file: string) => readFileSync(file, 'utf8')
const pages = [
  ...['README.md', 'SECURITY.md', 'CHANGELOG.md', 'examples/README.md'],
  ...globSync('docs/*.md'),
]

/** What stands in backticks in the first column of a page's tables. */
const firstColumn = (page: string) =>
  [...read(page).matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )

/** The members of string unions in a source file that begin like this. */
const namesIn = (file: string, pattern: RegExp) => [
  ...new Set([...read(file).matchAll(pattern)].map(([, name = '']) => name)),
]

describe('docs', () => {
  test('link to files that exist', () => {
    const links = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => ({
        page,
        target: join(dirname(page), target),
      })),
    )
    expect(links.filter(({ target }) => !existsSync(target))).toEqual([])
    expect(links.length).toBeGreaterThan(30)
  })

  test('README quotes the files of the quick start as they are', () => {
    expect(withQuotedFiles(read('README.md'))).toBe(read('README.md'))
  })

  test.each(globSync('examples/*/countersign.yaml'))(
    'the example %s is a configuration without a problem, but for files that are nowhere yet',
    async (example) => {
      const { problems } = await check(example, 0)
      expect(problems.filter(({ rule }) => !rule.endsWith('-file'))).toEqual([])
    },
  )

  test('every kind of issuer has an example', () => {
    const kinds = namesIn('src/config/issuer-forms.ts', /kind: z\.literal\('([a-z0-9-]+)'\)/g)
    const shown = globSync('examples/*/countersign.yaml').flatMap((example) =>
      namesIn(example, /\bkind: ([a-z0-9-]+)/g),
    )
    expect(kinds.filter((kind) => !shown.includes(kind))).toEqual([])
    expect(kinds.length).toBeGreaterThan(7)
  })

  test('configuration.md names every option of the file', () => {
    const named = firstColumn('docs/configuration.md')
    expect(named).toEqual(expect.arrayContaining(Object.keys(configForm.shape)))
  })

  test('configuration.md names every environment variable, and no other', () => {
    const named = firstColumn('docs/configuration.md').filter((name) => /^[A-Z_]+$/.test(name))
    expect(named.toSorted()).toEqual(Object.keys(environmentVariables).toSorted())
  })

  test('dependencies.md has a sentence for every dependency, and for no other', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
    const groups = ['dependencies', 'devDependencies', 'optionalDependencies']
    const installed = groups.flatMap((group) => Object.keys(manifest[group] ?? {}))
    expect(firstColumn('docs/dependencies.md').toSorted()).toEqual(installed.toSorted())
  })

  test('operations.md names every metric, and no other', async () => {
    const { registry } = createMetrics(gaugesAtRest, createCommitSeconds())
    expect(registry).toBeInstanceOf(Registry)
    const ours = (await registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => name.startsWith('countersign_'))
    const named = firstColumn('docs/operations.md').filter((name) =>
      name.startsWith('countersign_'),
    )
    expect(named.toSorted()).toEqual(ours.toSorted())
  })

  test('operations.md says what to do about every code that a failure can have', () => {
    const codes = [
      ...namesIn('src/signer/signer.ts', /'(SIGNER_[A-Z_]+)'/g),
      ...namesIn('src/signer/governor.ts', /'(GOVERNOR_[A-Z_]+)'/g),
      ...namesIn('src/certificate/certificate.ts', /'(CERTIFICATE_[A-Z_]+)'/g),
      ...namesIn('src/issuance/entra-refusals.ts', /code = '(ENTRA_[A-Z_]+)'/g),
      ...namesIn('src/sealing/wrapping-key.ts', /'(SEALING_[A-Z_]+)'/g),
      ...namesIn('src/custody/head-key.ts', /'(HEAD_KEY_[A-Z_]+)'/g),
      ...namesIn('src/custody/anchor.ts', /'(ANCHOR_[A-Z_]+)'/g),
      ...namesIn('src/custody/log-destination.ts', /'(EXPORT_[A-Z_]+)'/g),
      ...namesIn('src/token-endpoint/token-endpoint.ts', /'(ENTRA_[A-Z_]+)'/g),
      ...namesIn('src/ledger/ledger.ts', /'(LEDGER_[A-Z_]+)'/g),
      ...namesIn('src/ledger/ledger-file.ts', /'(LEDGER_[A-Z_]+)'/g),
      ...namesIn('src/ledger/ledger-database-error.ts', /'(LEDGER_[A-Z_]+)'/g),
      ...namesIn('src/database-access/database-access-error.ts', /'(DATABASE_[A-Z_]+)'/g),
      ...namesIn('src/reload/policy-generation-error.ts', /'(POLICY_[A-Z_]+)'/g),
      ...namesIn('src/token-cache/token-cache.ts', /'(TOKEN_[A-Z_]+)'/g),
      ...namesIn('src/caller/caller.ts', /'(ISSUER_[A-Z_]+)'/g),
      ...namesIn('src/http/listener-error.ts', /'(LISTENER_[A-Z_]+)'/g),
      ...namesIn('src/audit/audit-error.ts', /'((?:LEDGER|AUDIT)_[A-Z_]+)'/g),
      ...namesIn('src/sign-in/sign-in.ts', /'(SIGN_IN_[A-Z_]+)'/g),
      ...namesIn('src/issuance/nothing-proven.ts', /code = '([A-Z_]+)'/g),
      'UNEXPECTED',
    ]
    const named = firstColumn('docs/operations.md').filter((name) => /^[A-Z_]+$/.test(name))
    // A file and a database can be wrong in the same way.
    expect(named.toSorted()).toEqual([...new Set(codes)].toSorted())
    expect(codes.length).toBeGreaterThan(50)
  })

  test('clients.md names every code of the library, and quotes its example', () => {
    const codes = namesIn('src/client/countersign-error.ts', /\| '([A-Z_]+)'/g)
    const named = firstColumn('docs/clients.md').filter((name) => /^(SERVICE|CALLER)_/.test(name))
    expect(named).toEqual(codes)
    expect(codes.length).toBeGreaterThan(5)
    const [, quoted = 'nothing'] = /```js\n([^]*?)```/.exec(read('docs/clients.md')) ?? []
    const example = read('examples/azure-sdk/assertion-provider.mjs')
    for (const part of quoted.split('\n\n')) expect(example).toContain(part.trim())
  })

  test('clients.md has the clients that tests prove, at the versions that are installed', async () => {
    const page = read('docs/clients.md')
    // As scripts/write-clients.ts writes it; a page on which one fails is not fit to be released.
    expect(await withClients(page, () => true)).toBe(page)
    expect(await withClients(page, () => false)).toContain('**fails**')
  })

  test.each(provenClients)('the test that proves $client is there', ({ test: proof }) => {
    const text = read(proof.file)
    expect(text).toContain(proof.title)
    expect(text).toContain(proof.each ?? '')
    expect(text).toContain(proof.describe ?? '')
  })

  test('audit.md names every kind of entry, and no other', () => {
    const kinds = namesIn('src/ledger/entry.ts', /EntryOf<'([a-z.-]+)'>/g)
    const named = firstColumn('docs/audit.md').filter((name) => kinds.includes(name))
    expect(named.toSorted()).toEqual(kinds.toSorted())
    expect(kinds.length).toBeGreaterThan(10)
  })

  test('audit.md names every finding', () => {
    const findings = namesIn('src/reconcile/finding.ts', /readonly kind: '([a-z.-]+)'/g)
    const named = firstColumn('docs/audit.md')
    expect(named).toEqual(expect.arrayContaining([...findings, 'undecided']))
    expect(findings.length).toBeGreaterThan(3)
  })

  test('the changelog begins with the version of the package', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    expect(/^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1]).toBe(version)
  })
})

describe('the tree', () => {
  test('holds no absolute path, registry host or private key', () => {
    const files = globSync(
      ['*', '{.ci,bench,bin,deploy,docs,examples,schemas,scripts,src,test}/**/*'],
      {
        exclude: ['node_modules', 'dist', 'coverage'],
        withFileTypes: true,
      },
    )
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
    const forbidden = [
      /(?<![\w.])\/(home|root|work|Users)\//,
      /registry\.npmjs\.org|registry\.yarnpkg/,
      /-----BEGIN (RSA |EC )?PRIVATE KEY-----\n[A-Za-z0-9+/]{40}/,
    ]
    const found = files.filter((file) => {
      if (file.endsWith('docs.test.ts')) return false
      const text = read(file)
      return forbidden.some((pattern) => pattern.test(text))
    })
    expect(found).toEqual([])
    expect(files.length).toBeGreaterThan(100)
  })
})
