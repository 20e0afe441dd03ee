import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Agent } from 'undici'
import { parse, stringify } from 'yaml'
import type { TestEmulator } from '../support/emulator.ts'
import { createLoopbackTls } from '../support/loopback-tls.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served, type ServedOptions } from '../support/served.ts'
import { cast, type ConfigurationFile, startServiceEmulator } from '../support/test-service.ts'
import { becomes, tokenStatus } from '../support/token-status.ts'

/** A `countersign.yaml` that changes under a service that runs, as people, deployments and clusters change it. */

let emulator: TestEmulator
let served: Served
let file: string
beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterEach(() => served.remove())
afterAll(() => emulator.stop())

async function serve(configuration?: ServedOptions['configuration']): Promise<string> {
  served = serveFrom(emulator, configuration === undefined ? {} : { configuration })
  file = join(dirname(served.ledgerFile), 'countersign.yaml')
  await served.said('ready')
  return served.origin()
}

const written = () => parse(readFileSync(file, 'utf8')) as ConfigurationFile

/** As it is, with some of it changed. */
const changed = (change: (file: ConfigurationFile) => object) =>
  stringify({ ...written(), ...change(written()) }, { aliasDuplicateObjects: false })

/** As an editor saves: whole, under another name first. */
function save(text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

const withTenants =
  (...tenants: string[]) =>
  ({ applications }: ConfigurationFile) => ({
    applications: { ...applications, events: { ...required(applications['events']), tenants } },
  })

const withoutFabrikam = withTenants(cast.northwind)
const withFabrikam = withTenants(cast.northwind, cast.fabrikam)

const status = (origin: string, tenant: string = cast.fabrikam) =>
  tokenStatus(emulator, origin, { tenant })

const readiness = async (origin: string) =>
  (await (await fetch(`${origin}/readyz`)).json()) as Readonly<Record<string, unknown>>

async function standingBecomes(origin: string, standing: 'ok' | 'degraded'): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if ((await readiness(origin))['configuration'] === standing) return
    await delay(50)
  }
  expect(await readiness(origin)).toMatchObject({ configuration: standing })
}

const inForceGauge = async (origin: string) =>
  /^countersign_configuration_in_force (\d)/m.exec(
    await (await fetch(`${origin}/metrics`)).text(),
  )?.[1]

const loads = () => served.entries().filter(({ kind }) => kind === 'configuration.loaded')

const stays = 'the configuration is not in force: the one before it stays'

describe('a configuration of a service that runs', () => {
  test('is in force soon after it was saved, written down first, and takes away what was cached', async () => {
    const origin = await serve()
    expect(await status(origin)).toBe(200)
    save(changed(withoutFabrikam))
    await becomes(() => status(origin), 403)
    expect(await status(origin, cast.northwind)).toBe(200)
    save(changed(withFabrikam))
    await becomes(() => status(origin), 200)

    const [first, second, third] = loads()
    expect(first).not.toHaveProperty('changed')
    expect(second).toMatchObject({ changed: ['application events'], widened: [], removed: [] })
    expect(third).toMatchObject({
      changed: ['application events'],
      widened: ['application events'],
    })
    expect(new Set(loads().map((entry) => 'sha256' in entry && entry.sha256)).size).toBe(3)
    const obtained = served
      .entries()
      .filter((entry) => entry.kind === 'exchange.succeeded' && entry.tenant === cast.fabrikam)
    expect(obtained).toHaveLength(2)
  })

  test('is looked at on SIGHUP, and is one with what it names for the first time', async () => {
    const origin = await serve()
    const { applications } = written()
    const other = { ...required(applications['events']), clientId: cast.workloadObjectId }
    save(changed(() => ({ applications: { ...applications, other } })))
    served.signal('SIGHUP')
    expect(await served.said('configuration loaded')).toMatchObject({
      added: ['application other'],
      widened: ['application other'],
    })
    expect(await status(origin)).toBe(200)
    expect(await readiness(origin)).toMatchObject({ ready: true, configuration: 'ok' })
  })

  test('may be the file of a ConfigMap, which is a link that is swapped at once', async () => {
    const origin = await serve()
    const folder = dirname(file)
    const place = (version: string, text: string) => {
      mkdirSync(join(folder, `..${version}`))
      writeFileSync(join(folder, `..${version}`, 'countersign.yaml'), text)
    }
    const link = (version: string) => {
      symlinkSync(`..${version}`, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    place('1', changed(withoutFabrikam))
    place('2', changed(withFabrikam))
    link('1')
    rmSync(file)
    symlinkSync('..data/countersign.yaml', file)
    await becomes(() => status(origin), 403)
    link('2')
    await becomes(() => status(origin), 200)
  })

  test('that does not load leaves the one before it in force, loudly, until it is mended', async () => {
    const origin = await serve()
    const sound = changed(withoutFabrikam)
    save(`${sound}\nnonsense: true\n`)
    await standingBecomes(origin, 'degraded')
    expect(await status(origin)).toBe(200)
    expect(await readiness(origin)).toMatchObject({ ready: true, grants: 'ok' })
    expect(await inForceGauge(origin)).toBe('0')
    expect(await served.said(stays)).toMatchObject({ level: 50 })
    expect(served.log.some(({ message }) => String(message).includes('nonsense'))).toBe(true)
    expect(loads()).toHaveLength(1)

    save(sound)
    await becomes(() => status(origin), 403)
    await standingBecomes(origin, 'ok')
    expect(await inForceGauge(origin)).toBe('1')
  })

  test('that needs a restart is in force in no part of it, and says for which setting', async () => {
    const origin = await serve()
    const before = readFileSync(file, 'utf8')
    const change = (one: ConfigurationFile) => ({
      ...withoutFabrikam(one),
      tokenCache: { maxMegabytes: 32 },
      listen: { ...one.listen, maxConnections: 99 },
    })
    save(changed(change))
    await standingBecomes(origin, 'degraded')
    expect(await status(origin)).toBe(200)
    const named = served.log.filter(({ rule }) => rule === 'config.restart-needed')
    expect(named.map(({ message }) => String(message).split(' ')[0])).toEqual([
      '`listen.maxConnections`',
      '`tokenCache`',
    ])
    save(before)
    await standingBecomes(origin, 'ok')
    await served.said('the configuration is in force')
    expect(loads()).toHaveLength(1)
  })

  test('whose new certificate cannot be proven leaves the one before it in force', async () => {
    const origin = await serve()
    const { certificates, applications } = written()
    const missing = { ...required(certificates['partners']), name: 'missing' }
    const change = (one: ConfigurationFile) => {
      const narrowed = withoutFabrikam(one)
      return {
        certificates: { ...certificates, missing },
        applications: {
          ...narrowed.applications,
          deploy: { ...required(applications['deploy']), certificate: 'missing' },
        },
      }
    }
    save(changed(change))
    await standingBecomes(origin, 'degraded')
    expect(await served.said(stays)).toMatchObject({ err: { code: 'CERTIFICATE_MISSING' } })
    expect(await status(origin)).toBe(200)
    expect(loads()).toHaveLength(1)
  })

  test('has a certificate of its own that is shown as soon as it is renewed with its key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'))
    const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    const [old, renewed] = [createLoopbackTls(), createLoopbackTls()]
    writeFileSync(certFile, old.cert)
    writeFileSync(keyFile, old.key)
    const origin = await serve((one) => ({
      ...one,
      listen: { ...one.listen, tls: { certFile, keyFile } },
    }))
    const alive = async (ca: string) => {
      const agent = new Agent({ connect: { ca } })
      const answer = agent.request({ origin, path: '/healthz', method: 'GET' })
      const isAlive = await answer.then(
        ({ statusCode }) => statusCode === 200,
        () => false,
      )
      await agent.destroy()
      return isAlive
    }
    expect(await alive(old.cert)).toBe(true)
    writeFileSync(certFile, renewed.cert)
    // Half of the two belongs to nothing: it is told, and what was shown before is shown.
    await served.said(stays)
    expect(await alive(old.cert)).toBe(true)
    writeFileSync(keyFile, renewed.key)
    expect(await served.said('configuration loaded')).toMatchObject({
      changed: ['listen'],
      widened: [],
    })
    expect([await alive(old.cert), await alive(renewed.cert)]).toEqual([false, true])
    rmSync(folder, { recursive: true })
  })
})
