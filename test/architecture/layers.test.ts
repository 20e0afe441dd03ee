import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readSourceFiles, roomOf } from '../support/source-files.ts'

/**
 * Which room may import which. Reads from the ground up: everything may use what is above it in this
 * table and is named beside it, and nothing else. Capabilities are strangers to one another.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  yaml: ['base'],
  'vault-access': ['base'],
  'database-access': ['base'],
  x509: ['base'],
  config: ['base', 'yaml', 'x509'],
  caller: ['base', 'x509'],
  policy: ['base', 'yaml'],
  assertion: ['base'],
  certificate: ['base', 'vault-access'],
  signer: ['base', 'database-access', 'vault-access'],
  sealing: ['base', 'database-access', 'vault-access'],
  'token-endpoint': ['base'],
  'token-cache': ['base', 'database-access'],
  agent: ['base', 'token-cache'],
  // A library: it is in programs of others, and nothing here uses it.
  client: ['base'],
  ledger: ['base', 'database-access'],
  revocation: ['base', 'caller', 'ledger', 'policy'],
  audit: ['base', 'caller', 'ledger', 'policy', 'revocation'],
  issuance: [
    'base',
    'caller',
    'policy',
    'revocation',
    'assertion',
    'certificate',
    'signer',
    'token-endpoint',
    'token-cache',
    'ledger',
  ],
  reload: ['base', 'config', 'database-access', 'ledger', 'policy'],
  custody: ['base', 'database-access', 'ledger', 'signer', 'vault-access'],
  reconcile: ['base', 'ledger', 'vault-access'],
  // People, who are no callers.
  'sign-in': ['base'],
  telemetry: ['base', 'custody', 'issuance', 'reload', 'token-cache'],
  http: [
    'audit',
    'base',
    'issuance',
    'assertion',
    'caller',
    'ledger',
    'revocation',
    'sign-in',
    'signer',
    'token-cache',
    'token-endpoint',
  ],
  'caller-proof.ts': ['base', 'caller', 'config'],
  // A part of the wiring, for the wiring alone: what replicas share.
  'sharing.ts': [
    'base',
    'config',
    'database-access',
    'issuance',
    'ledger',
    'reload',
    'sealing',
    'signer',
    'telemetry',
    'token-cache',
    'vault-access',
  ],
  // Two more: what one configuration makes, and what changes while the service runs.
  'configured.ts': [
    'base',
    'caller-proof.ts',
    'certificate',
    'config',
    'issuance',
    'people.ts',
    'policy',
    'revocation',
  ],
  'reloading.ts': [
    'base',
    'config',
    'configured.ts',
    'http',
    'ledger',
    'people.ts',
    'policy',
    'reload',
    'sharing.ts',
    'telemetry',
  ],
  // And one: signed heads of the ledger.
  'heads.ts': [
    'base',
    'config',
    'custody',
    'database-access',
    'ledger',
    'signer',
    'telemetry',
    'vault-access',
  ],
  // And one: what leaves the service for whoever watches it.
  'exporting.ts': [
    'base',
    'config',
    'custody',
    'database-access',
    'ledger',
    'telemetry',
    'vault-access',
  ],
  // What the report says of the chain: two rooms that are strangers to one another.
  'chain-view.ts': ['custody', 'reconcile'],
  // The thread that makes the report page, and who starts it.
  'report-worker.ts': ['base', 'chain-view.ts', 'custody', 'ledger', 'reconcile', 'reconciling.ts'],
  'reporting.ts': ['audit', 'base', 'config', 'ledger', 'reconciling.ts', 'report-worker.ts'],
  // And one: what auditors read.
  'auditing.ts': ['audit', 'base', 'config', 'database-access', 'http', 'ledger', 'reporting.ts'],
  // And one: where people sign in.
  'people.ts': ['base', 'config', 'http', 'sign-in'],
  // And one, for a witness: a ledger that is followed where it is kept.
  'following.ts': ['base', 'database-access', 'ledger'],
  // And one for whoever reconciles, where no service runs.
  'reconciling.ts': ['base', 'config', 'custody', 'reconcile', 'vault-access'],
  // And one, for a witness whose key is in a vault.
  'witnessing.ts': ['base', 'config', 'custody', 'signer', 'vault-access'],
  // And one: what the service knows of itself.
  'readiness.ts': [
    'base',
    'exporting.ts',
    'heads.ts',
    'http',
    'issuance',
    'ledger',
    'reloading.ts',
  ],
  // And one: what is read of its parts when its metrics are asked for.
  'gauges.ts': [
    'exporting.ts',
    'issuance',
    'ledger',
    'policy',
    'readiness.ts',
    'reloading.ts',
    'signer',
    'telemetry',
    'token-cache',
  ],
  // And one: what can be asked of it, and where.
  'surfaces.ts': [
    'auditing.ts',
    'base',
    'caller',
    'config',
    'configured.ts',
    'http',
    'issuance',
    'ledger',
    'revocation',
    'telemetry',
  ],
  'wiring.ts': [
    'audit',
    'auditing.ts',
    'base',
    'caller',
    'certificate',
    'config',
    'configured.ts',
    'exporting.ts',
    'gauges.ts',
    'heads.ts',
    'caller-proof.ts',
    'issuance',
    'ledger',
    'people.ts',
    'policy',
    'readiness.ts',
    'reloading.ts',
    'revocation',
    'sharing.ts',
    'signer',
    'surfaces.ts',
    'telemetry',
    'token-cache',
    'token-endpoint',
    'vault-access',
  ],
  'background.ts': ['base', 'config', 'reload', 'wiring.ts'],
  'main.ts': ['background.ts', 'base', 'config', 'http', 'policy', 'wiring.ts'],
  cli: [
    'agent',
    'base',
    'caller',
    'config',
    'custody',
    'emulator',
    'caller-proof.ts',
    'chain-view.ts',
    'following.ts',
    'ledger',
    'main.ts',
    'policy',
    'reconcile',
    'reconciling.ts',
    'telemetry',
    'witnessing.ts',
  ],
  emulator: [],
}

const files = readSourceFiles('src/**/*.ts')
const arrows = files.flatMap(({ path, imports }) =>
  imports
    .filter((imported) => roomOf(imported) !== roomOf(path))
    .map((imported) => ({
      from: path,
      to: imported,
      rooms: `${roomOf(path)} → ${roomOf(imported)}`,
    })),
)

describe('one direction of imports', () => {
  test('every room of src is in the table', () => {
    const rooms = new Set(files.map(({ path }) => roomOf(path)))
    expect([...rooms].sort()).toEqual(Object.keys(mayImport).sort())
  })

  test('no file imports what its room may not', () => {
    const wrong = arrows.filter(
      ({ from, to }) => mayImport[roomOf(from)]?.includes(roomOf(to)) !== true,
    )
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  test('every arrow of the table is used, so that it permits nothing by habit', () => {
    const used = new Set(arrows.map(({ rooms }) => rooms))
    const permitted = Object.entries(mayImport).flatMap(([from, rooms]) =>
      rooms.map((to) => `${from} → ${to}`),
    )
    expect(permitted.filter((arrow) => !used.has(arrow))).toEqual([])
  })

  test('only the verbs that need the emulator load it, and dynamically', () => {
    const importers = arrows.filter(({ to }) => roomOf(to) === 'emulator').map(({ from }) => from)
    expect([...new Set(importers)].sort()).toEqual([
      'src/cli/demo/cloud.ts',
      'src/cli/demo/configuration.ts',
      'src/cli/emulate.ts',
    ])
    const statically = files.filter(
      ({ path, text }) =>
        importers.includes(path) && /^import (?!type).*'\.\.\/emulator\//m.test(text),
    )
    expect(statically.map(({ path }) => path)).toEqual([])
  })
})

describe('things that live in one place', () => {
  const users = (pattern: RegExp) =>
    files.filter(({ text }) => pattern.test(text)).map(({ path }) => path)

  test('Azure SDKs are imported by adapters alone', () => {
    const importers = files
      .filter(({ packages }) => packages.some((name) => name.startsWith('@azure/')))
      .map(({ path }) => path)
    expect(importers).toEqual([
      'src/agent/managed-identity.ts',
      'src/certificate/key-vault-certificate.ts',
      'src/custody/key-vault-head-key.ts',
      'src/custody/log-analytics.ts',
      'src/reconcile/workspace/table-client.ts',
      'src/sealing/key-vault-wrapping-key.ts',
      'src/signer/key-vault-signer.ts',
      'src/vault-access/azure-failure.ts',
      'src/vault-access/undici-http-client.ts',
      'src/vault-access/vault-access.ts',
    ])
  })

  test("the driver of PostgreSQL is imported by the access to it and the ledger's files for it alone", () => {
    const importers = files
      .filter(({ packages }) => packages.includes('pg'))
      .map(({ path }) => path)
    expect(importers).toEqual([
      'src/database-access/connection.ts',
      'src/database-access/database-session.ts',
      'src/database-access/driver-errors.ts',
      'src/ledger/ledger-database.ts',
      'src/ledger/ledger-schema.ts',
      'src/ledger/move-ledger.ts',
      'src/ledger/postgres-exported-up-to.ts',
      'src/ledger/postgres-ledger.ts',
      'src/ledger/postgres-reader.ts',
      'src/ledger/postgres-revocations.ts',
      'src/ledger/postgres-token-uses.ts',
      'src/ledger/postgres-writer.ts',
      'src/ledger/prune-postgres.ts',
      'src/ledger/server-settings.ts',
    ])
  })

  test('src imports only what is installed with the package', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
      dependencies: Record<string, string>
    }
    const imported = new Set(
      files
        .flatMap(({ packages }) => packages)
        .filter((name) => !name.startsWith('node:'))
        .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/')),
    )
    expect([...imported].sort()).toEqual(Object.keys(manifest.dependencies).sort())
  })

  test('a type that a file exports has its name to itself', () => {
    const declared = files
      .filter(({ path }) => roomOf(path) !== 'emulator')
      .flatMap(({ path, text }) =>
        [
          ...text.matchAll(/^(export )?(?:abstract )?(?:class|interface|type) (\w+)\b(?! from)/gm),
        ].map(([, exported, name = '']) => ({ name, path, isExported: exported !== undefined })),
      )
    const shared = declared
      .filter(({ isExported }) => isExported)
      .filter(({ name, path }) =>
        declared.some((other) => other.name === name && other.path !== path),
      )
      .map(({ name }) => name)
    // Rooms that are strangers to one another, and neither can see the other's.
    const ofStrangers = ['Answer', 'AssertionProfile', 'CredentialKind', 'Facts', 'Variables']
    expect([...new Set(shared)].sort()).toEqual(ofStrangers)
  })

  test('the secret interface of Key Vault is imported nowhere', () => {
    const importers = files.filter(({ packages }) => packages.includes('@azure/keyvault-secrets'))
    expect(importers).toEqual([])
    // The tests do import it, so the name is spelled right.
    const tests = readSourceFiles('test/conformance/*.ts')
    expect(tests.some(({ packages }) => packages.includes('@azure/keyvault-secrets'))).toBe(true)
  })

  test('the environment is read by one file', () => {
    expect(users(/\bprocess\s*\.\s*env\b/)).toEqual(['src/config/environment.ts'])
  })

  test('the time is told by one clock of the product and one of the emulator', () => {
    expect(users(/\bDate\.(now|parse)\b|\bnew Date\b/)).toEqual([
      'src/base/clock.ts',
      'src/emulator/emulator-clock.ts',
    ])
  })

  test('intervals are measured by the same clocks', () => {
    expect(users(/\bperformance\b|\bhrtime\b/)).toEqual([
      'src/base/clock.ts',
      'src/emulator/vault/vault.ts',
    ])
  })

  test('signals of the process are handled where a run is stopped, passed on or reloaded', () => {
    expect(users(/process\.(on|once)\(\s*(signal|'SIG)/)).toEqual([
      'src/base/stop-signal.ts',
      'src/cli/agent-program.ts',
      'src/main.ts',
    ])
  })

  test('adapters are constructed by the wiring alone', () => {
    const adapters =
      /\b(createKeyVaultSigner|createKeyVaultCertificateSource|createKeyVaultWrappingKey|createEntraTokenEndpoint|createJwtCallerIdentifier|createSqliteLedger|createPostgresLedger|createDatabaseSession|createPostgresDataKeyStore|createPostgresSharedTokens|createPostgresExchanges|createPostgresUnitLender|createPostgresPolicyGenerations|createPostgresExportCursor|createLogAnalytics|createTableClient|createVaultAccess)\(/
    const callers = files.filter(({ text }) =>
      text
        .split('\n')
        .some((line) => adapters.test(line) && !/^export (async )?function/.test(line)),
    )
    const wirings = [
      'src/auditing.ts',
      'src/caller-proof.ts',
      'src/exporting.ts',
      'src/following.ts',
      'src/heads.ts',
      'src/reconciling.ts',
      'src/sharing.ts',
      'src/wiring.ts',
      'src/witnessing.ts',
    ]
    expect(callers.map(({ path }) => path)).toEqual(wirings)
  })

  test('nothing outside the emulator can hold a private key, but a caller and a witness their own', () => {
    const holders = users(/\b(createPrivateKey|generateKeyPair|privateEncrypt|createSign)\b/)
    const ofCallers = 'src/cli/dpop-key.ts'
    const ofWitness = 'src/cli/witness-key-file.ts'
    expect(holders.filter((path) => !path.startsWith('src/emulator/'))).toEqual([
      ofCallers,
      ofWitness,
    ])
    const loading = (key: string) =>
      files.filter(({ imports }) => imports.includes(key)).map(({ path }) => path)
    expect(loading(ofCallers)).toEqual(['src/cli/caller-credential.ts'])
    expect(loading(ofWitness)).toEqual(['src/cli/witness-wiring.ts'])
    const using = files.filter(({ imports }) => imports.includes('src/cli/caller-credential.ts'))
    expect(using.map(({ path }) => path).filter((path) => !path.startsWith('src/cli/'))).toEqual([])
    expect(holders.length).toBeGreaterThan(0)
  })
})
