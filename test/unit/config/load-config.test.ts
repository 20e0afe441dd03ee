import { readdirSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { configurationFixtures, september2026 } from '../../support/configuration-fixtures.ts'
import { required } from '../../support/required.ts'

const fixtures = [...configurationFixtures('valid'), ...configurationFixtures('invalid')]
const fileOf = (name: string) =>
  resolve(required(fixtures.find((one) => one.name === name)).folder, 'countersign.yaml')

async function configOf(name: string): Promise<Config> {
  const loaded = await loadConfig(fileOf(name), september2026)
  if (!loaded.ok) throw new TypeError(JSON.stringify(loaded.problems))
  return loaded.config
}

describe('a configuration that says little', () => {
  test('gets every default', async () => {
    const file = fileOf('smallest')
    expect(await configOf('smallest')).toEqual({
      publicUrl: 'https://countersign.contoso.example',
      listen: {
        host: '127.0.0.1',
        port: 8443,
        connectionsMax: 10_240,
        requestsPerCallerMax: 5120,
        transport: { kind: 'plain' },
      },
      machines: { at: 'callers-listener' },
      cloud: {
        name: 'public',
        authority: 'https://login.microsoftonline.com',
        authorityV1: 'https://sts.windows.net',
        vaultSuffix: 'vault.azure.net',
        loopbackVaults: false,
      },
      credential: 'managed-identity',
      trust: { caFiles: [] },
      certificates: [
        {
          name: 'partners',
          vault: 'https://contoso-hsm.vault.azure.net',
          nameInVault: 'partner-signing',
          requireHsm: true,
        },
      ],
      applications: [
        {
          name: 'events',
          clientId: '11111111-0000-4000-8000-000000000001',
          certificate: 'partners',
          profile: 'entra',
          x5c: false,
          tenants: ['fab00000-0000-4000-8000-000000000002'],
          handOut: false,
        },
      ],
      issuers: [
        {
          name: 'cluster',
          kind: 'kubernetes',
          issuer: 'https://oidc.cluster.example',
          audience: 'https://countersign.contoso.example',
          acceptSharedAudience: false,
          require: [],
          replay: 'allowed',
          algorithms: ['RS256'],
          maxTokenSeconds: 90_000,
          privateAddress: 'accept',
        },
      ],
      grants: { folder: resolve(dirname(file), 'grants') },
      ledger: {
        kind: 'sqlite',
        file: resolve(dirname(file), 'countersign.db'),
        keptBytes: 64 * 1024 * 1024,
      },
      heads: undefined,
      tokenCache: {
        bytesMax: 256 * 1024 * 1024,
        minRemainingSeconds: 300,
        refreshAheadSeconds: 1200,
        assertionReuseSeconds: 60,
        wrappingKey: undefined,
      },
      governor: { headroom: 0.8 },
      export: undefined,
      expect: { principals: [], addresses: [], also: [] },
      reconcile: {
        sources: [],
        graceMs: 30 * 60_000,
        webhook: undefined,
        logAnalytics: undefined,
      },
    })
  })
})

describe('a configuration that says everything', () => {
  test('is taken at its word, with paths made absolute and ids in lower case', async () => {
    const folder = dirname(fileOf('every-setting'))
    const config = await configOf('every-setting')
    expect(config.listen).toEqual({
      host: '0.0.0.0',
      port: 443,
      connectionsMax: 2000,
      connectionsPerAddressMax: 300,
      requestsPerCallerMax: 400,
      revocationSocket: resolve(folder, 'run/revocations.sock'),
      transport: {
        kind: 'tls',
        certFile: resolve(folder, 'tls/tls.crt'),
        keyFile: '/etc/countersign/tls.key',
        clientCertificates: 'asked-for',
      },
    })
    expect(config.machines).toEqual({
      at: 'own-listener',
      listen: {
        host: '10.0.0.7',
        port: 9100,
        connectionsMax: 100,
        transport: { kind: 'plain' },
      },
    })
    expect(config.trust.caFiles).toEqual([
      resolve(folder, 'ca/proxy.pem'),
      resolve(folder, 'ca/internal.pem'),
    ])
    expect(config.certificates.map(({ vault }) => vault)).toEqual([
      'https://contoso-hsm.vault.azure.net',
      'https://contoso-dev.vault.azure.net',
    ])
    expect(config.certificates.map(({ standby }) => standby)).toEqual([
      { vault: 'https://contoso-hsm-north.vault.azure.net', nameInVault: 'partner-standby' },
      undefined,
    ])
    expect(config.applications.find(({ name }) => name === 'legacy')).toEqual({
      name: 'legacy',
      clientId: '22222222-0000-4000-8000-00000000000a',
      certificate: 'software',
      profile: 'entra-legacy',
      x5c: true,
      tenants: ['fab00000-0000-4000-8000-000000000002'],
      handOut: true,
    })
    expect(config.ledger).toEqual({
      kind: 'sqlite',
      file: '/var/lib/countersign/ledger.db',
      keptBytes: 128 * 1024 * 1024,
    })
    expect(config.tokenCache).toEqual({
      bytesMax: 64 * 1024 * 1024,
      minRemainingSeconds: 600,
      refreshAheadSeconds: 900,
      assertionReuseSeconds: 0,
      wrappingKey: {
        vault: 'https://contoso-dev.vault.azure.net',
        nameInVault: 'token-wrapping',
        requireHsm: false,
      },
    })
    expect(config.heads).toEqual({
      key: {
        vault: 'https://contoso-dev.vault.azure.net',
        nameInVault: 'ledger-heads',
        requireHsm: false,
      },
      everySeconds: 30,
      everyEntries: 500,
      anchors: [{ file: '/mnt/evidence/heads.jsonl' }, { file: resolve(folder, 'evidence/heads') }],
      workspaces: [
        {
          workspace: 'e0000000-0000-4000-8000-0000000000aa',
          table: 'SigningLedger_CL',
          endpoint: 'https://api.loganalytics.io',
          audience: 'https://api.loganalytics.io',
        },
      ],
    })
    expect(config.governor).toEqual({ headroom: 0.5 })
    expect(config.export).toEqual({
      logAnalytics: {
        endpoint: 'https://countersign-ledger-a1b2.westeurope-1.ingest.monitor.azure.com',
        rule: 'dcr-0123456789abcdef0123456789abcdef',
        stream: 'Custom-SigningLedger',
        audience: 'https://monitor.azure.com',
      },
    })
    expect(config.expect).toEqual({
      principals: ['51000000-0000-4000-8000-00000000000a'],
      addresses: ['2001:db8::/32', '203.0.113.0/24'],
      also: [
        {
          principal: '52000000-0000-4000-8000-00000000000b',
          key: 'https://contoso-dev.vault.azure.net/keys/dev',
        },
      ],
    })
    const queried = {
      workspace: 'e0000000-0000-4000-8000-0000000000aa',
      endpoint: 'https://api.loganalytics.io',
      audience: 'https://api.loganalytics.io',
    }
    expect(config.reconcile).toEqual({
      sources: [
        { kind: 'vault-log', path: resolve(folder, 'logs/insights-logs-auditevent') },
        { kind: 'signin-log', path: '/mnt/sign-ins' },
        { kind: 'audit-log', path: '/mnt/audits' },
        { kind: 'vault-log', table: { ...queried, table: 'AzureDiagnostics' } },
        {
          kind: 'vault-log',
          table: {
            ...queried,
            workspace: 'e0000000-0000-4000-8000-0000000000ab',
            table: 'AZKVAuditLogs',
          },
        },
        { kind: 'signin-log', table: { ...queried, table: 'AADServicePrincipalSignInLogs' } },
        { kind: 'audit-log', table: { ...queried, table: 'AuditLogs' } },
      ],
      graceMs: 45 * 60_000,
      webhook: {
        url: 'https://hooks.contoso.example/countersign?team=security',
        secretFile: resolve(folder, 'secrets/webhook'),
      },
      logAnalytics: {
        endpoint: 'https://countersign-findings-a1b2.westeurope-1.ingest.monitor.azure.com',
        rule: 'dcr-0123456789abcdef0123456789abcdef',
        stream: 'Custom-CountersignFindings',
        audience: 'https://monitor.azure.com',
      },
    })
  })

  test.each([
    ['behind-a-proxy-in-usgov', 'https://api.loganalytics.us'],
    ['the-ledger-is-exported-in-china', 'https://api.loganalytics.azure.cn'],
  ])('of %s queries workspaces where its cloud does', async (name, api) => {
    expect((await configOf(name)).reconcile.sources).toMatchObject([
      { table: { endpoint: api, audience: api } },
    ])
  })

  test('has its tenants from a file, comments and line ends left out', async () => {
    const { applications } = await configOf('every-setting')
    const tenants = applications.find(({ name }) => name === 'events')?.tenants
    expect(tenants).toHaveLength(10)
    expect(tenants).toContain('fab00000-0000-4000-8000-000000000002')
    expect(tenants).toContain('0a0a0a0a-0000-4000-8000-000000000003')
  })

  test('has each issuer whole', async () => {
    const { issuers } = await configOf('every-setting')
    expect(issuers.find(({ name }) => name === 'github')).toMatchObject({
      issuer: 'https://token.actions.githubusercontent.com',
      require: [{ claim: 'repository_owner_id', anyOf: ['987', '988'] }],
      replay: 'once',
      maxTokenSeconds: 900,
    })
    expect(issuers.find(({ name }) => name === 'devops')).toMatchObject({
      kind: 'azure-devops',
      organization: '0f0f0f0f-0000-4000-8000-000000000001',
      issuer: 'https://vstoken.dev.azure.com/0f0f0f0f-0000-4000-8000-000000000001',
      audience: 'api://AzureADTokenExchange',
    })
    expect(issuers.find(({ name }) => name === 'customers')).toMatchObject({
      kind: 'entra-b2c',
      issuer: 'https://contoso.b2clogin.com/fab00000-0000-4000-8000-0000000000bc/v2.0/',
      policies: ['b2c_1_signin', 'b2c_1a_partners'],
      audience: '33333333-0000-4000-8000-000000000003',
      maxTokenSeconds: 3600,
    })
    expect(issuers.find(({ name }) => name === 'cluster')).toMatchObject({
      acceptSharedAudience: true,
      jwksUri: 'https://10.0.0.1/openid/v1/jwks',
      algorithms: ['RS256', 'ES256'],
    })
    expect(issuers.find(({ name }) => name === 'spire')).toMatchObject({ boundTokens: 'dpop' })
    expect(issuers.find(({ name }) => name === 'edge')).toEqual({
      name: 'edge',
      kind: 'mtls',
      caFile: resolve(dirname(fileOf('every-setting')), 'ca/edge.pem'),
      identity: 'uri',
      trustDomain: 'fabrikam.example',
      require: [{ claim: 'uri', anyOf: ['spiffe://fabrikam.example/edge'] }],
    })
    expect(issuers.find(({ name }) => name === 'platform')).toEqual({
      name: 'platform',
      kind: 'entra',
      tenants: ['c0c0c0c0-0000-4000-8000-000000000001'],
      audience: '33333333-0000-4000-8000-000000000003',
      acceptSharedAudience: false,
      require: [],
      replay: 'allowed',
      algorithms: ['RS256'],
      maxTokenSeconds: 90_000,
      privateAddress: 'refuse',
    })
  })

  test('is sorted by name, so that the order in the file decides nothing', async () => {
    const { applications, issuers } = await configOf('every-setting')
    expect(applications.map(({ name }) => name)).toEqual(['events', 'legacy'])
    expect(issuers.map(({ name }) => name)).toEqual([
      'cluster',
      'customers',
      'devops',
      'edge',
      'github',
      'mesh',
      'platform',
      'spire',
    ])
  })

  test('is frozen to its leaves', async () => {
    const config = await configOf('every-setting')
    const values: unknown[] = [config]
    for (const value of values) {
      if (typeof value !== 'object' || value === null) continue
      expect(Object.isFrozen(value)).toBe(true)
      values.push(...(Object.values(value) as unknown[]))
    }
    expect(values.length).toBeGreaterThan(100)
  })
})

describe('clouds', () => {
  test('a cloud of Microsoft brings its hosts', async () => {
    expect((await configOf('behind-a-proxy-in-usgov')).cloud).toEqual({
      name: 'usgov',
      authority: 'https://login.microsoftonline.us',
      authorityV1: 'https://sts.windows.net',
      vaultSuffix: 'vault.usgovcloudapi.net',
      loopbackVaults: false,
    })
  })

  test('only a custom cloud on localhost has vaults on loopback', async () => {
    expect((await configOf('emulated-world')).cloud).toEqual({
      name: 'custom',
      authority: 'https://localhost:8443',
      authorityV1: 'https://localhost:8443',
      vaultSuffix: 'localhost',
      loopbackVaults: true,
    })
  })
})

describe('a ledger that replicas share', () => {
  test('is in a database that the file names', async () => {
    expect((await configOf('the-ledger-is-shared')).ledger).toEqual({
      kind: 'postgres',
      at: {
        database: {
          host: 'db.contoso.example',
          port: 5432,
          user: 'countersign',
          database: 'ledger',
          transport: 'tls',
        },
      },
      schema: 'countersign',
    })
  })

  test('is in one that another file names, which is read when it is needed', async () => {
    const folder = dirname(fileOf('the-ledger-url-is-in-a-file'))
    expect((await configOf('the-ledger-url-is-in-a-file')).ledger).toEqual({
      kind: 'postgres',
      at: { urlFile: resolve(folder, 'ledger-url.txt') },
      schema: 'partner_ledger',
    })
  })

  test('must have that file at hand to serve, although not to be checked', async () => {
    const file = fileOf('the-ledger-url-file-is-elsewhere')
    expect(await loadConfig(file, september2026, 'must-be-here')).toMatchObject({
      ok: false,
      problems: [{ rule: 'ledger.url-file', severity: 'error' }],
    })
  })

  test('has a password that no problem repeats', () => {
    const written = fixtures.filter(({ folder }) =>
      readdirSync(folder).some(
        (name) =>
          name.includes('.') && readFileSync(resolve(folder, name), 'utf8').includes('hunter2'),
      ),
    )
    expect(written.length).toBeGreaterThan(3)
    expect(written.flatMap(({ expected }) => expected).join('\n')).not.toContain('hunter2')
  })
})

test.each([
  ['every-setting', 'cluster', 'accept'],
  ['every-setting', 'mesh', 'accept'],
  ['every-setting', 'spire', 'accept'],
  ['every-setting', 'github', 'refuse'],
  ['every-setting', 'devops', 'refuse'],
  ['every-setting', 'customers', 'refuse'],
  ['an-issuer-is-in-a-private-network', 'closed-cluster', 'refuse'],
  ['an-issuer-is-in-a-private-network', 'inside', 'accept'],
  ['an-issuer-is-in-a-private-network', 'local', 'refuse'],
  ['emulated-world', 'fabrikam', 'accept'],
  ['emulated-world', 'gitlab', 'refuse'],
])('in %s the private address of %s: %s', async (name, issuer, privateAddress) => {
  const { issuers } = await configOf(name)
  expect(issuers.find((one) => one.name === issuer)).toMatchObject({ privateAddress })
})

describe('a broken configuration', () => {
  test('keeps what can be read, so that grants can be compared with it', async () => {
    const loaded = await loadConfig(fileOf('configuration-and-grants-are-broken'), september2026)
    expect(loaded).toMatchObject({
      ok: false,
      outline: {
        publicUrl: 'https://countersign.contoso.example',
        applications: [{ name: 'events', tenants: ['fab00000-0000-4000-8000-000000000002'] }],
        issuers: [{ name: 'cluster', kind: 'kubernetes' }],
      },
    })
  })

  test('leaves out what it cannot know, instead of guessing', async () => {
    const loaded = await loadConfig(fileOf('the-tenants-file-has-a-domain'), september2026)
    expect(loaded).toMatchObject({
      ok: false,
      outline: { applications: [{ name: 'events', tenants: undefined }] },
    })
  })

  test('has no outline when it is no YAML at all', async () => {
    expect(await loadConfig(fileOf('the-text-is-not-yaml'), september2026)).not.toHaveProperty(
      'outline',
    )
  })

  test('is an answer even when the path is a folder', async () => {
    const loaded = await loadConfig(dirname(fileOf('smallest')), september2026)
    expect(loaded).toMatchObject({ ok: false, problems: [{ rule: 'config.unreadable', line: 1 }] })
  })
})
