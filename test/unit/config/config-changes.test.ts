import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { configChanges, knownConfig, saysTheSame } from '../../../src/config/config-changes.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { september2026 } from '../../support/configuration-fixtures.ts'
import { restartSettings } from '../../../src/config/restart-settings.ts'
import { required } from '../../support/required.ts'

const folder = mkdtempSync(join(tmpdir(), 'countersign-changes-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})
cpSync('examples/quickstart', folder, { recursive: true })
const [certFile, keyFile, caFile] = ['tls.crt', 'tls.key', 'ca.pem'].map((name) =>
  join(folder, name),
) as [string, string, string]
writeFileSync(certFile, 'a certificate')

const loaded = await loadConfig(join(folder, 'countersign.yaml'), september2026)
if (!loaded.ok) throw new Error('the quick start does not load')
const { config } = loaded
const known = (some: Partial<Config> = {}) => knownConfig({ ...config, ...some }, folder)

const application = required(config.applications[0])
const issuer = required(config.issuers[0])
const certificate = required(config.certificates[0])
const other = <Part extends { readonly name: string }>(part: Part) => ({
  ...part,
  name: 'other' as Part['name'],
})
const nothing = { added: [], removed: [], changed: [], widened: [] }

describe('a configuration that is known', () => {
  test('is the same as one that says the same, and differs from none by nothing', async () => {
    expect((await known()).sha256).toBe((await known()).sha256)
    expect(configChanges(await known(), await known())).toEqual(nothing)
  })

  test.for<readonly [string, Partial<Config>, object]>([
    [
      'an application',
      { applications: [application, other(application)] },
      { added: ['application other'], widened: ['application other'] },
    ],
    ['no issuer', { issuers: [] }, { removed: [`issuer ${issuer.name}`] }],
    [
      'another certificate',
      { certificates: [{ ...certificate, nameInVault: 'another' }] },
      {
        changed: [`certificate ${certificate.name}`],
        widened: [`certificate ${certificate.name}`],
      },
    ],
    ['other limits', { governor: { headroom: 0.5 } }, { changed: ['governor'] }],
  ])('names %s that it differs by', async ([, some, changes]) => {
    expect((await known(some)).sha256).not.toBe((await known()).sha256)
    expect(configChanges(await known(), await known(some))).toEqual({ ...nothing, ...changes })
  })

  test('differs when its own certificate or the CA of an issuer is renewed', async () => {
    const transport = { kind: 'tls', certFile, keyFile } as const
    const listen = { ...config.listen, transport }
    const edge = { kind: 'mtls', name: issuer.name, caFile, identity: 'uri', require: [] } as const
    writeFileSync(caFile, 'a CA')
    const before = await known({ listen, issuers: [edge] })
    writeFileSync(certFile, 'a renewed certificate')
    const renewed = await known({ listen, issuers: [edge] })
    expect(configChanges(before, renewed)).toEqual({ ...nothing, changed: ['listen'] })
    writeFileSync(caFile, 'another CA')
    expect(configChanges(renewed, await known({ listen, issuers: [edge] }))).toEqual({
      ...nothing,
      changed: [`issuer ${issuer.name}`],
      widened: [`issuer ${issuer.name}`],
    })
  })
})

describe('the client secret of the page for auditors', () => {
  const clientSecretFile = join(folder, 'client-secret')
  const oidc = { issuer: 'https://issuer.example', clientId: 'page', clientSecretFile, rules: [] }
  const withSecret = (text: string) => {
    writeFileSync(clientSecretFile, text)
    return known({ audit: { oidc } })
  }

  test('makes another configuration of it, and none that could be told by its hash', async () => {
    const [before, after] = [await withSecret('one secret'), await withSecret('another secret')]
    expect(saysTheSame(before, await withSecret('one secret'))).toBe(true)
    expect(saysTheSame(before, after)).toBe(false)
    expect(configChanges(before, after)).toEqual({ ...nothing, changed: ['audit'] })
    expect(after.sha256).toBe(before.sha256)
  })
})

describe('a restart', () => {
  const tls = { kind: 'tls', certFile, keyFile } as const
  const listening = (some: object): Partial<Config> => ({ listen: { ...config.listen, ...some } })

  test.for<readonly [string, Partial<Config>, Partial<Config>]>([
    ['publicUrl', { publicUrl: 'https://another.example' }, {}],
    ['tokenCache', { tokenCache: { ...config.tokenCache, bytesMax: 1 } }, {}],
    ['listen.port', listening({ port: 1 }), {}],
    ['listen.maxConnections', listening({ connectionsMax: 1 }), {}],
    ['listen.tls or behindProxy', listening({ transport: { kind: 'plain' } }), {}],
    ['a setting of the future', { 'a setting of the future': 1 } as Partial<Config>, {}],
  ])('is needed for %s', ([name, after, before]) => {
    const all = { ...config, ...before }
    expect(restartSettings(all, { ...all, ...after })).toEqual([name])
  })

  test('is needed where clients are to be asked for certificates, which none was asked for', () => {
    const before = { ...config, ...listening({ transport: tls }) }
    const asking = { ...tls, clientCertificates: 'asked-for' }
    const [name] = restartSettings(before, { ...config, ...listening({ transport: asking }) })
    expect(name).toMatch(/^listen\.tls, because clients are asked/)
  })

  test('is needed for nothing that callers, applications and certificates are, nor people, nor what is for reconcile', () => {
    const before = { ...config, ...listening({ transport: tls }) }
    const transport = { ...tls, certFile: 'other.crt', keyFile: 'other.key' }
    const after = listening({ transport, requestsPerCallerMax: 1 })
    const all = { applications: [], issuers: [], certificates: [] }
    const ignored = {
      expect: { ...config.expect, addresses: ['203.0.113.9'] },
      reconcile: { ...config.reconcile, graceMs: 0 },
      audit: {
        oidc: { issuer: '', clientId: '', clientSecretFile: undefined, rules: [] },
      },
    }
    expect(restartSettings(before, { ...before, ...ignored })).toEqual([])
    expect(restartSettings(before, { ...config, ...after, ...all })).toEqual([])
  })
})
