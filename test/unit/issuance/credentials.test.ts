import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Fault } from '../../../src/emulator/faults.ts'
import type { TestEmulator } from '../../support/emulator.ts'
import { strike } from '../../support/faults.ts'
import { fillDisk } from '../../support/full-disk.ts'
import { required } from '../../support/required.ts'
import {
  deployAsk,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../../support/test-service.ts'

/** Two certificates, `deploy` before `partners`, proven against the emulated vault. */

let emulator: TestEmulator
let service: TestService

beforeAll(async () => {
  const vaults = serviceWorld.vaults.map((vault) => ({
    ...vault,
    certificates: [
      ...vault.certificates,
      ...vault.certificates.slice(0, 1).map((model) => ({ ...model, name: 'spare' })),
      ...vault.certificates.slice(0, 1).map((model) => ({
        ...model,
        name: 'exportable',
        keyType: 'RSA' as const,
        exportable: true,
      })),
    ],
  }))
  emulator = await startServiceEmulator({ ...serviceWorld, vaults })
})
beforeEach(async () => {
  service = await startTestService({ emulator, certificates: 'later' })
})
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
})
afterAll(() => emulator.stop())

const prove = () => service.service.credentials.prove()
const loaded = () => service.entries().filter((entry) => entry.kind === 'certificate.loaded')
const certificatesLoaded = () => loaded().map(({ certificate }) => certificate)
const readyState = async () => (await service.ask('GET /readyz')).body

/** What the vault was asked, the challenge aside: `CertificateGet deploy-signing`. */
const reads = () =>
  service
    .vaultRecords()
    .filter(({ properties }) => properties.httpStatusCode === 200)
    .map(({ operationName, properties }) => {
      const name = new URL(String(properties['id'])).pathname.split('/')[2] ?? ''
      return `${operationName} ${name}`
    })

describe('proving', () => {
  test('reads certificate and key, signs nothing, and writes one entry for each certificate', async () => {
    await prove()

    expect(certificatesLoaded()).toEqual(['deploy', 'partners'])
    expect(new Set(service.vaultRecords().map(({ operationName }) => operationName))).toEqual(
      new Set(['CertificateGet', 'KeyGet']),
    )
    const store = required(emulator.vaults[0]).store
    const version = required(store.find('partner-signing')?.versions.at(-1))
    expect(loaded().at(-1)).toMatchObject({
      keyId: `${service.emulator.vaultUrl('contoso-hsm')}/keys/partner-signing/${version.version}`,
      der: version.der.toString('base64'),
    })
  })

  test('again does nothing: no read, no entry', async () => {
    await prove()
    const [records, entries] = [service.vaultRecords().length, service.entries().length]
    await prove()

    expect(service.vaultRecords()).toHaveLength(records)
    expect(service.entries()).toHaveLength(entries)
  })
})

const failures: readonly (Pick<Fault, 'kind' | 'match'> & { readonly code: string })[] = [
  {
    kind: 'server-error',
    match: 'GET /certificates/partner-signing',
    code: 'CERTIFICATE_UNREACHABLE',
  },
  {
    kind: 'server-error-after',
    match: 'GET /keys/partner-signing',
    code: 'CERTIFICATE_UNREACHABLE',
  },
  { kind: 'throttle', match: 'GET /certificates/partner-signing', code: 'CERTIFICATE_UNREACHABLE' },
  { kind: 'drop-before', match: 'GET /keys/partner-signing', code: 'CERTIFICATE_UNREACHABLE' },
  { kind: 'drop-after', match: 'GET /keys/partner-signing', code: 'CERTIFICATE_UNREACHABLE' },
]

describe('proving that fails half-way', () => {
  test('does not keep the certificates behind it from being proven', async () => {
    strike(emulator, {
      at: 'vault',
      kind: 'drop-before',
      match: 'GET /certificates/deploy-signing',
    })
    await expect(prove()).rejects.toMatchObject({ code: 'CERTIFICATE_UNREACHABLE' })
    expect(certificatesLoaded()).toEqual(['partners'])
    expect(await readyState()).toMatchObject({ ready: false, vault: { state: 'failing' } })

    await prove()
    expect(certificatesLoaded()).toEqual(['partners', 'deploy'])
    expect(await readyState()).toMatchObject({ ready: true, vault: { state: 'ok' } })
  })

  test.each(failures)('$kind at $match: resumes where it was', async ({ code, ...fault }) => {
    strike(emulator, { at: 'vault', ...fault })
    await expect(prove()).rejects.toMatchObject({ code, transient: true })
    expect(certificatesLoaded()).toEqual(['deploy'])
    const readsBefore = reads().filter((read) => read.endsWith('deploy-signing'))

    await prove()
    expect(certificatesLoaded()).toEqual(['deploy', 'partners'])
    expect(reads().filter((read) => read.endsWith('deploy-signing'))).toEqual(readsBefore)
  })

  test('leaves what is proven in use, and the rest not ready', async () => {
    strike(emulator, { at: 'vault', kind: 'server-error', match: 'partner-signing' })
    await expect(prove()).rejects.toThrow()
    const token = await service.callerToken('github')

    expect((await service.ask('POST /v1/assertion', { token, json: deployAsk })).status).toBe(200)
    expect(await service.ask('POST /v1/token', { token, json: ordersAsk })).toMatchObject({
      status: 503,
      body: { code: 'not_ready' },
    })
    expect(await readyState()).toMatchObject({ ready: false, certificates: 'proving' })
  })

  test('because it cannot be written proves nothing: no entry, no use of the key', async () => {
    fillDisk(service.ledgerFile, 'certificate.loaded')
    await expect(prove()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' })

    const { name } = required(service.config.applications[0])
    expect(service.service.credentials.current(name)).toEqual([])
    expect(await readyState()).toMatchObject({ ready: false, certificates: 'proving' })
  })
})

describe('proving a pair', () => {
  /** Names in the vault; `partners` is the first, and the second stands by for it. */
  const provePair = async (primary: string, standby: string) => {
    await service.stop()
    service = await startTestService({
      emulator,
      certificates: 'later',
      configuration: (file) => {
        const partners = required(file.certificates['partners'])
        const { vault } = partners
        const pair = { ...partners, name: primary, standby: { vault, name: standby } }
        return { ...file, certificates: { ...file.certificates, partners: pair } }
      },
    })
    return prove()
  }
  const placesOf = (application: string) => {
    const { name } = required(service.config.applications.find((one) => one.name === application))
    return service.service.credentials.current(name).map(({ place }) => place)
  }

  test('gives the application both, the primary first', async () => {
    expect(await provePair('partner-signing', 'spare')).toEqual([])
    expect([placesOf('events'), placesOf('deploy')]).toEqual([['primary', 'standby'], ['primary']])
  })

  test.each([
    ['the primary', 'nothing-here', 'spare', 'standby'],
    ['the standby', 'partner-signing', 'nothing-here', 'primary'],
  ] as const)('is done with one when %s is missing, which is told', async (...row) => {
    const [, primary, standby, left] = row
    expect(await provePair(primary, standby)).toMatchObject([{ code: 'CERTIFICATE_MISSING' }])

    expect(placesOf('events')).toEqual([left])
    expect(await readyState()).toMatchObject({ ready: true, certificates: 'proven' })
    // It is looked for again, and until then it is missed.
    expect(await prove()).toMatchObject([{ code: 'CERTIFICATE_MISSING' }])
  })

  test('fails when both are missing', async () => {
    await expect(provePair('nothing-here', 'nothing-there')).rejects.toMatchObject({
      code: 'CERTIFICATE_MISSING',
      transient: false,
    })
  })

  test('waits for the one that may still answer when the other is missing', async () => {
    strike(emulator, { at: 'vault', kind: 'server-error', match: 'GET /certificates/spare' })
    await expect(provePair('nothing-here', 'spare')).rejects.toMatchObject({ transient: true })

    expect(await prove()).toMatchObject([{ code: 'CERTIFICATE_MISSING' }])
    expect(placesOf('events')).toEqual(['standby'])
  })

  test.each([
    ['exportable', 'spare'],
    ['partner-signing', 'exportable'],
  ])(
    'fails when an answer speaks against a key, whatever stands beside it: %s, %s',
    async (...pair) => {
      await expect(provePair(...pair)).rejects.toMatchObject({
        code: 'CERTIFICATE_KEY_NOT_IN_HSM',
        disqualifying: true,
      })
    },
  )
})

describe('what an application signs with', () => {
  test('is the certificate that the configuration names for it', async () => {
    await prove()
    const names = service.config.applications.map(({ name }) => name)
    const keys = names.flatMap((name) =>
      service.service.credentials.current(name).map(({ key }) => key.keyId),
    )

    expect(names).toEqual(['deploy', 'events'])
    expect(keys).toEqual([
      expect.stringContaining('/keys/deploy-signing/'),
      expect.stringContaining('/keys/partner-signing/'),
    ])
  })
})
