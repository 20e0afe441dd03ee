import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { stringify } from 'yaml'
import { runCommand } from '../support/command-line.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { startedEntry } from '../support/entries.ts'
import { runModule } from '../support/module-run.ts'
import { createReconcileFiles } from '../support/reconcile-files.ts'
import { type Served, serveFrom } from '../support/served.ts'
import { loaded, recordLine } from '../support/signed-traffic.ts'
import type { AgentFile } from '../support/test-agent.ts'
import {
  cast,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { clientOrder, createLoopbackTlsFiles } from '../support/tls-clients.ts'

/** The package as it would be published, unpacked where a user has it: below somebody's node_modules. */

let folder: string
let installed: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-package-'))
  const packed = spawnSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    encoding: 'utf8',
  })
  if (packed.status !== 0) throw new Error(packed.stdout + packed.stderr)
  installed = join(folder, 'node_modules', 'countersign')
  mkdirSync(installed, { recursive: true })
  const tarball = join(folder, packed.stdout.trim().split('\n').at(-1) ?? '')
  spawnSync('tar', ['xzf', tarball, '--strip-components=1', '-C', installed])
  // What the lockfile installs, without asking a registry for it a second time.
  symlinkSync(resolve('node_modules'), join(installed, 'node_modules'))
  symlinkSync(resolve('node_modules/@azure'), join(folder, 'node_modules/@azure'))
}, 120_000)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const countersign = (...args: readonly string[]) =>
  spawnSync(process.execPath, [join(installed, 'bin/countersign.js'), ...args], {
    encoding: 'utf8',
    cwd: folder,
  })

const ledgerVerbs = ['prepare', 'migrate', 'verify'].map((verb) => ['ledger', verb])

describe('the packed package', () => {
  test('holds what runs, and neither sources nor tests', () => {
    for (const name of ['dist', 'bin', 'openapi.yaml', 'schemas', 'LICENSE', 'README.md']) {
      expect(existsSync(join(installed, name)), name).toBe(true)
    }
    for (const name of ['src', 'test', 'bench', 'scripts']) {
      expect(existsSync(join(installed, name)), name).toBe(false)
    }
    expect(readdirSync(join(installed, 'dist/program')).length).toBeGreaterThan(10)
  })

  test('names what others have written of it, with their licences', () => {
    const licences = readFileSync(join(installed, 'dist/licences.txt'), 'utf8')
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>
    }
    for (const [name, version] of Object.entries(dependencies)) {
      expect(licences).toContain(`\n${name} ${version}: `)
    }
    expect(licences).toContain('Permission is hereby granted, free of charge')
  })

  test('holds every page and example that its own pages link to', () => {
    for (const page of ['README.md', 'docs/configuration.md', 'docs/operations.md']) {
      const text = readFileSync(join(installed, page), 'utf8')
      const links = [...text.matchAll(/\]\(([\w./-]+)/g)].map(([, link]) => link ?? '')
      expect(links.length, page).toBeGreaterThan(0)
      for (const link of links) {
        expect(existsSync(join(installed, dirname(page), link)), `${page}: ${link}`).toBe(true)
      }
    }
  })

  test('has a version, and help with an example for every verb', () => {
    expect(countersign('--version').stdout).toMatch(/^\d+\.\d+\.\d+/)
    const listed = [...countersign('--help').stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)]
    const verbs = listed.map(([, verb]) => verb ?? '')
    expect(verbs).toEqual(expect.arrayContaining(['serve', 'explain', 'revoke', 'ledger', 'demo']))
    for (const words of [...verbs.map((verb) => [verb]), ...ledgerVerbs]) {
      const { status, stdout } = countersign(...words, '--help')
      expect(status, words.join(' ')).toBe(0)
      expect(stdout, words.join(' ')).toMatch(/Example/)
      expect(stdout, words.join(' ')).toContain('$ ')
    }
  })

  test('finds what was changed in a ledger that is long enough for a second thread', async () => {
    const entries = Array.from({ length: 12_000 }, (_, index) => startedEntry(String(index)))
    const files = await createReconcileFiles([loaded, ...entries])
    const db = new DatabaseSync(files.ledgerFile)
    db.exec(`UPDATE entry SET canonical = '{}' WHERE sequence = 11500`)
    db.close()
    const log = files.write('log.json', recordLine(0))
    const { status, stdout } = countersign(
      ...['reconcile', '--ledger', files.ledgerFile, '--vault-log', log],
    )
    files.remove()
    expect(status).toBe(1)
    expect(stdout).toContain('entry 11500 is not what was written')
  })

  test('says what to do when a verb does not exist', () => {
    const { status, stderr } = countersign('sign')
    expect(status).not.toBe(0)
    expect(stderr).toContain('countersign --help')
  })

  test('brings the driver of PostgreSQL along, and an emulator with a world', async () => {
    const { stderr } = countersign('ledger', 'prepare', '--to', 'postgres://owner@127.0.0.1:1/none')
    expect(stderr).toContain('ECONNREFUSED')

    const args = [join(installed, 'bin/countersign.js'), 'emulate', '--state', 'emulator']
    const emulator = spawn(process.execPath, args, { cwd: folder })
    const lines = createInterface(emulator.stdout)
    const ended = once(emulator, 'exit')
    const said: string[] = []
    for await (const line of lines) {
      said.push(line)
      if (line === 'ready') emulator.kill()
    }
    expect(said).toContain('ready')
    expect(said.join('\n')).toContain('vault contoso-hsm')
    await ended
  }, 120_000)

  test('plays the whole demo', () => {
    const { status, stdout, stderr } = countersign('demo')
    expect(status, stdout + stderr).toBe(0)
    expect(stdout).toContain('sign.unexplained')
  }, 120_000)
})

/** What is left out of the bundle is left out of these: TLS, requests of each kind, routes and the SDKs. */
describe('the service of the packed package', () => {
  const uri = 'spiffe://fabrikam.example/orders'
  const files = createLoopbackTlsFiles()
  let emulator: TestEmulator
  let served: Served
  let origin: string
  let credential: { readonly certificatePem: string; readonly keyPem: string }

  beforeAll(async () => {
    emulator = await startServiceEmulator()
    credential = await emulator.clients.issue(clientOrder({ names: [uri] }))
    const { clientCaFile } = emulator.endpoints
    served = serveFrom(emulator, {
      program: join(installed, 'bin/countersign.js'),
      configuration: (file) => ({
        ...files.listening(file),
        issuers: {
          ...file.issuers,
          edge: { kind: 'mtls', caFile: clientCaFile, identity: 'uri' },
        },
      }),
      grants: [
        {
          grant: 'edge',
          caller: { issuer: 'edge', claims: { uri } },
          may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
        },
      ],
    })
    await served.said('ready')
    origin = await served.origin()
  })
  afterAll(async () => {
    await served.remove()
    await files.remove()
    await emulator.stop()
  })

  const forms = {
    '/oauth2/token': { client_id: `events/${cast.fabrikam}` },
    [`/${cast.fabrikam}/oauth2/v2.0/token`]: { client_id: cast.eventsClientId },
  }
  const ofOrders = { appid: cast.eventsClientId, tid: cast.fabrikam, aud: 'https://orders.example' }

  test.each(Object.entries(forms))('gives a token to a certificate at %s', async (path, form) => {
    const { statusCode, body } = await request(`${origin}${path}`, {
      method: 'POST',
      dispatcher: files.connections(credential),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        ...form,
        grant_type: 'client_credentials',
        scope: cast.orders,
      }).toString(),
    })
    const text = await body.text()
    expect(statusCode, text).toBe(200)
    const { access_token } = JSON.parse(text) as { access_token: string }
    expect(decodeJwt(access_token)).toMatchObject(ofOrders)
  })

  test('gives one to a program by the agent of the package', async () => {
    const agent: AgentFile = {
      service: { url: origin, caFile: files.write('ca.pem', files.ca) },
      identity: {
        kind: 'certificate',
        certFile: files.write('edge.pem', credential.certificatePem),
        keyFile: files.write('edge.key', credential.keyPem),
      },
      resources: { 'https://orders.example': { application: 'events', tenant: cast.fabrikam } },
      shapes: { appService: {} },
    }
    writeFileSync(join(folder, 'agent.yaml'), stringify(agent))
    const asking = `
      const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = process.env
      const query = '?api-version=2019-08-01&resource=https://orders.example'
      const headers = { 'x-identity-header': IDENTITY_HEADER }
      fetch(IDENTITY_ENDPOINT + query, { headers }).then(async (answer) => console.log(await answer.text()))`
    // Not waited for in the way of the others: the emulator answers in this process.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(installed, 'bin/countersign.js'), 'agent', '--', process.execPath, '-e', asking],
      { cwd: folder },
    )
    const { access_token } = JSON.parse(stdout) as { access_token: string }
    expect(decodeJwt(access_token)).toMatchObject(ofOrders)
  })
})

/** The one of the system where that is older than ours, and may be as old as the library takes. */
function olderNode(): string {
  const older = '/usr/bin/node'
  const version = existsSync(older)
    ? spawnSync(older, ['--version'], { encoding: 'utf8' }).stdout
    : 'v26'
  const major = Number(/^v(\d+)/.exec(version)?.[1])
  return major >= 20 && major < 26 ? older : process.execPath
}

describe('the library', () => {
  let service: TestService
  let environment: Readonly<Record<string, string>>

  beforeAll(async () => {
    service = await startTestService()
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, await service.callerToken('github'))
    environment = {
      COUNTERSIGN_URL: service.origin,
      COUNTERSIGN_TOKEN_FILE: tokenFile,
      AZURE_TENANT_ID: cast.fabrikam,
      AZURE_CLIENT_ID: cast.deployClientId,
      AZURE_AUTHORITY_HOST: service.emulator.endpoints.authority,
      SCOPE: cast.eventHubs,
      NODE_EXTRA_CA_CERTS: service.emulator.endpoints.caFile,
    }
  })
  afterAll(() => service.stop())

  const signatures = () =>
    service.vaultRecords().filter(({ operationName }) => operationName === 'KeySign').length

  const programWith = (credential: string) => `
    import { ClientAssertionCredential } from '@azure/identity'
    import { ConfidentialClientApplication } from '@azure/msal-node'
    import { assertionProvider } from 'countersign/client'
    const { env } = process
    const options = {
      service: env.COUNTERSIGN_URL,
      application: 'deploy',
      tenant: env.AZURE_TENANT_ID,
      callerToken: { file: env.COUNTERSIGN_TOKEN_FILE },
    }
    ${credential}
    try {
      console.log(await tokenOnce())
      console.log(await tokenOnce())
    } catch (error) {
      console.log(error.name + ': ' + error.message)
      process.exitCode = 1
    }
  `
  const azureIdentity = (clientAssertion: string) =>
    programWith(`
      const credential = new ClientAssertionCredential(
        env.AZURE_TENANT_ID,
        env.AZURE_CLIENT_ID,
        ${clientAssertion},
        { authorityHost: env.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true },
      )
      const tokenOnce = async () => (await credential.getToken(env.SCOPE)).token
    `)
  const msalNode = programWith(`
    const client = new ConfidentialClientApplication({
      auth: {
        clientId: env.AZURE_CLIENT_ID,
        authority: env.AZURE_AUTHORITY_HOST + '/' + env.AZURE_TENANT_ID,
        knownAuthorities: [new URL(env.AZURE_AUTHORITY_HOST).host],
        clientAssertion: assertionProvider(options),
      },
    })
    const tokenOnce = async () =>
      (await client.acquireTokenByClientCredential({ scopes: [env.SCOPE] })).accessToken
  `)

  test('is one file that needs nothing but Node', () => {
    const text = readFileSync(join(installed, 'dist/client.js'), 'utf8')
    const imported = [...text.matchAll(/\b(?:from|import|require)\b *\(?["']([^"']+)/g)]
    expect(imported.map(([, name]) => name)).toEqual(['node:net', 'node:fs/promises'])
  })

  test.each([
    ['ClientAssertionCredential', azureIdentity('assertionProvider(options)')],
    ['msal-node', msalNode],
  ])('gives %s what it asks for, twice and again, for one signature', async (_, program) => {
    const before = signatures()
    const { code, stdout, stderr } = await runModule(program, environment, folder)

    expect(code, stdout + stderr).toBe(0)
    for (const token of stdout.trim().split('\n')) {
      expect(decodeJwt(token)).toMatchObject({ tid: cast.fabrikam, appid: cast.deployClientId })
    }
    expect(signatures() - before).toBe(1)
  })

  test('which a callback that keeps nothing pays for each time that it is called', async () => {
    const before = signatures()
    const program = azureIdentity('() => assertionProvider(options)()')
    const { code, stdout } = await runModule(program, environment, folder)

    expect(code, stdout).toBe(0)
    expect(signatures() - before).toBe(4)
  })

  test('serves msal-node on the older Node of the system', async () => {
    const program = msalNode.replace(/import .*identity'/, '')
    writeFileSync(join(folder, 'older.mjs'), program)
    const { code, stdout, stderr } = await runCommand(
      `'${olderNode()}' older.mjs`,
      environment,
      folder,
    )
    expect(code, stdout + stderr).toBe(0)
    expect(decodeJwt(stdout.split('\n')[0] ?? '')).toMatchObject({ appid: cast.deployClientId })
  })

  test.each([
    [
      'ClientAssertionCredential',
      azureIdentity("assertionProvider({ ...options, application: 'events' })"),
    ],
    ['msal-node', msalNode.replace('(options)', "({ ...options, application: 'events' })")],
  ])('says why %s gets nothing, and signs nothing', async (_, program) => {
    const before = signatures()
    const { code, stdout } = await runModule(program, environment, folder)

    expect(code).toBe(1)
    expect(stdout).toMatch(/SERVICE_REFUSED: .* \(not_granted, attempt [0-9a-f-]{36}\)/)
    expect(signatures()).toBe(before)
  })

  test.each(['nodenext', 'bundler'])('has types that need no others, for %s', (resolution) => {
    writeFileSync(
      join(folder, 'consumer.ts'),
      `import { assertionProvider, CountersignError } from 'countersign/client'
       const options = { service: 'https://a.example', application: 'a', tenant: 't' }
       const callback: () => Promise<string> = assertionProvider({ ...options, callerToken: { file: 'f' } })
       export const code = (error: unknown) =>
         error instanceof CountersignError && error.code === 'SERVICE_THROTTLED' ? error.retryAfterSeconds : callback
       // @ts-expect-error -- a caller token is needed
       assertionProvider(options)
       // @ts-expect-error -- codes are closed
       export const wrong = (error: CountersignError) => error.code === 'THROTTLED'
      `,
    )
    const { status, stdout } = spawnSync(
      resolve('node_modules/.bin/tsc'),
      [
        ...['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022'],
        ...['--module', resolution === 'bundler' ? 'esnext' : resolution],
        ...['--moduleResolution', resolution, 'consumer.ts'],
      ],
      { cwd: folder, encoding: 'utf8' },
    )
    expect(stdout).toBe('')
    expect(status).toBe(0)
  })
})

describe('the launcher', () => {
  test('runs under an older Node by the one that the project brings along', () => {
    const { status, stdout } = spawnSync(olderNode(), ['bin/countersign.js', '--version'], {
      encoding: 'utf8',
    })
    expect(status).toBe(0)
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/)
  })

  test('keeps the compiled code of a program that is killed, too', async () => {
    // An installation that nothing has run in yet.
    const fresh = join(folder, 'fresh')
    mkdirSync(join(fresh, 'bin'), { recursive: true })
    copyFileSync(join(installed, 'bin/countersign.js'), join(fresh, 'bin/countersign.js'))
    for (const name of ['package.json', 'dist'])
      symlinkSync(join(installed, name), join(fresh, name))
    const args = [join(fresh, 'bin/countersign.js'), 'emulate', '--state', 'fresh-emulator']
    const emulator = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' })
    const ended = once(emulator, 'exit')
    await vi.waitFor(
      () => {
        const kept = readdirSync(join(fresh, '.compile-cache'), { recursive: true })
        expect(kept.length).toBeGreaterThan(10)
      },
      { timeout: 60_000, interval: 100 },
    )
    expect(emulator.exitCode).toBeNull()
    emulator.kill('SIGKILL')
    await ended
  }, 120_000)
})
