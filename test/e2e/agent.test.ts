import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startCuttableProxy } from '../support/cuttable-proxy.ts'
import { type MadeUpServer, startMadeUpServer } from '../support/made-up-server.ts'
import { agentFile, type AgentFile, writeAgentFile } from '../support/test-agent.ts'
import {
  cast,
  defaultGrants,
  serviceWorld,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** `countersign agent` in a process of its own, and programs that it starts. */

const launcher = resolve('bin/countersign.js')
const proxyingProgram = resolve('test/support/proxying-program.ts')
const askingProgram = resolve('test/support/asking-program.ts')

/** So that many tokens pass in some seconds. */
const tokenSeconds = 6

let service: TestService
let folder: string
const children: ChildProcess[] = []

beforeAll(async () => {
  service = await startTestService({
    grants: [
      ...defaultGrants,
      {
        grant: 'orders-deploys',
        caller: {
          issuer: 'fabrikam',
          claims: { tid: cast.fabrikam, oid: cast.workloadObjectId },
        },
        may: [
          { application: 'deploy', tenant: cast.fabrikam, assertion: { lifetimeSeconds: 600 } },
        ],
      },
    ],
    world: {
      ...serviceWorld,
      resources: serviceWorld.resources.map((resource) =>
        resource.uris.includes('https://orders.example') ? { ...resource, tokenSeconds } : resource,
      ),
    },
    configuration: (file) => ({
      ...file,
      tokenCache: { minRemainingSeconds: 3, refreshAheadSeconds: 4, assertionReuseSeconds: 0 },
    }),
  })
})
afterAll(() => service.stop())

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-agent-'))
  await write((file) => file)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

async function write(change: (file: AgentFile) => AgentFile): Promise<void> {
  const file = change(agentFile(service.origin))
  writeAgentFile(folder, file, await service.callerToken('fabrikam-orders'))
}

interface Running {
  readonly child: ChildProcess
  readonly output: { stdout: string; stderr: string }
  /** Code, or the signal that it died of. */
  readonly ended: Promise<number | string | null>
}

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [launcher, 'agent', ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      output[name] += chunk
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  return { child, output, ended }
}

const node = (script: string, ...args: readonly string[]) => [
  '--',
  process.execPath,
  '-e',
  script,
  ...args,
]

describe('countersign agent with a program', () => {
  test('keeps its token valid while many tokens pass, each for one signature', async () => {
    const [signaturesBefore, exchangesBefore] = [signatures(), service.exchanges().length]
    const { output, ended } = run([
      '--',
      process.execPath,
      askingProgram,
      'https://orders.example',
      '20',
    ])
    expect(await ended, output.stderr).toBe(0)
    const tokens = output.stdout.trim().split('\n')
    expect(tokens.length).toBeGreaterThanOrEqual(4)
    expect(new Set(tokens).size).toBe(tokens.length)
    const signed = signatures() - signaturesBefore
    expect(signed).toBe(service.exchanges().length - exchangesBefore)
    expect(signed).toBeGreaterThanOrEqual(tokens.length)
    // The service refreshes what is in use: one or another may have been followed before it was asked for.
    expect(signed).toBeLessThanOrEqual(tokens.length + 2)
  }, 120_000)

  test('gives it its variables, and none that lead to another identity', async () => {
    const names = [
      'IDENTITY_ENDPOINT',
      'IDENTITY_HEADER',
      'AZURE_CLIENT_ID',
      'IMDS_ENDPOINT',
      // DefaultAzureCredential looks at these before all others.
      'AZURE_CLIENT_SECRET',
      'AZURE_CLIENT_CERTIFICATE_PATH',
      // Whoever is there would be shown what is for Entra or the service.
      'AZURE_AUTHORITY_HOST',
      'COUNTERSIGN_TOKEN',
      'KEPT',
    ]
    const script = `process.stdout.write(JSON.stringify(process.argv.slice(1).map((name) => process.env[name] ?? null)))`
    const { output, ended } = run(node(script, ...names), {
      IDENTITY_ENDPOINT: 'http://169.254.0.1/msi/token',
      IDENTITY_HEADER: 'of the platform',
      AZURE_CLIENT_ID: cast.deployClientId,
      IMDS_ENDPOINT: 'http://127.0.0.1:40342',
      AZURE_CLIENT_SECRET: 'of a person',
      AZURE_CLIENT_CERTIFICATE_PATH: '/etc/person.pem',
      AZURE_AUTHORITY_HOST: 'https://elsewhere.example',
      COUNTERSIGN_TOKEN: "the workload's own",
      KEPT: 'as it is',
    })
    expect(await ended, output.stderr).toBe(0)
    expect(JSON.parse(output.stdout)).toEqual([
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/msi\/token$/),
      expect.stringMatching(/^[0-9A-F]{64}$/),
      ...Array<null>(6).fill(null),
      'as it is',
    ])
    expect(output.stderr).not.toContain('of the platform')
  })

  describe('and a proxy in its environment', () => {
    const through: string[] = []
    let proxy: MadeUpServer
    beforeAll(async () => {
      proxy = await startMadeUpServer(({ headers }, response) => {
        through.push(headers.host ?? '')
        response.writeHead(418).end()
      })
    })
    beforeEach(() => through.splice(0))
    afterAll(() => proxy.close())

    const proxied = () => ({ http_proxy: proxy.origin, HTTP_PROXY: proxy.origin })

    test.for([{}, { NO_PROXY: 'kept.example' }, { no_proxy: 'kept.example' }])(
      'asks the agent past it, and all else through it, by EnvHttpProxyAgent of undici: %o',
      async (said) => {
        const program = ['--', process.execPath, proxyingProgram, 'https://orders.example']
        const { output, ended } = run(program, { ...proxied(), ...said })
        expect(await ended, output.stderr).toBe(0)
        expect(output.stdout).toBe('200')
        expect(through).toEqual(['outside.example'])
      },
    )

    test('asks the agent past it, and all else through it, by curl', async () => {
      const script = `
        curl -s -o /dev/null -w '%{http_code} ' -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" \\
          "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://orders.example"
        curl -s -o /dev/null -w '%{http_code}' http://outside.example/`
      const { output, ended } = run(['--', 'sh', '-c', script], proxied())
      expect(await ended, output.stderr).toBe(0)
      expect(output.stdout).toBe('200 418')
      expect(through).toEqual(['outside.example'])
    })
  })

  test('ends with its exit code', async () => {
    expect(await run(node('process.exit(7)')).ended).toBe(7)
    expect(await run(node('')).ended).toBe(0)
    expect(await run(node('process.kill(process.pid, "SIGKILL")')).ended).toBe(128 + 9)
  })

  test('says which program it cannot start', async () => {
    const { output, ended } = run(['--', './nowhere'])
    expect(await ended).toBe(127)
    expect(output.stderr).toContain('agent: ./nowhere cannot be started: it is not there')
  })

  test.for(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)(
    'passes %s on, and waits for it',
    async (signal) => {
      const script = `
      process.on('${signal}', () => setTimeout(() => { console.log('done'); process.exit(5) }, 200))
      setInterval(() => undefined, 1000)
      console.log('up')`
      const { child, output, ended } = run(node(script))
      await expect.poll(() => output.stdout).toContain('up')
      child.kill(signal)
      expect(await ended).toBe(5)
      expect(output.stdout).toBe('up\ndone\n')
    },
  )

  test('opens no debugger for SIGUSR1, which is the program’s', async () => {
    // A shell, because Node would take it for itself there too.
    const script = `trap 'echo done; exit 5' USR1; echo up; while :; do sleep 0.1; done`
    const { child, output, ended } = run(['--', 'sh', '-c', script])
    await expect.poll(() => output.stdout).toContain('up')
    child.kill('SIGUSR1')
    expect(await ended, output.stderr).toBe(5)
    expect(output.stderr).not.toMatch(/debugger/i)
  })

  test('ends with its exit code at once, while a service that hangs is asked', async () => {
    const wire = await startCuttableProxy(Number(new URL(service.origin).port))
    const restore = wire.interrupt('stall')
    await write((file) => ({ ...file, service: { url: `http://127.0.0.1:${wire.port}` } }))
    const script = `
      fetch(process.env.IDENTITY_ENDPOINT + '?api-version=2019-08-01&resource=https://orders.example', {
        headers: { 'x-identity-header': process.env.IDENTITY_HEADER },
      }).catch(() => undefined)
      setTimeout(() => process.exit(9), 500)`
    const { ended } = run(node(script))
    expect(await ended).toBe(9)
    restore()
    await wire.close()
  })

  test('starts it when the service is there for its token file, and says that it waits', async () => {
    const wire = await startCuttableProxy(Number(new URL(service.origin).port))
    const restore = wire.interrupt('cut')
    await write((file) => ({
      ...withAssertions(file),
      service: { url: `http://127.0.0.1:${wire.port}` },
    }))
    const script = `process.stdout.write(require('fs').readFileSync(process.env.AZURE_FEDERATED_TOKEN_FILE))`
    const { output, ended } = run(node(script))
    await expect.poll(() => output.stderr).toContain('the agent waits')
    expect(output.stdout).toBe('')
    restore()
    expect(await ended, output.stderr).toBe(0)
    expect(output.stdout).toMatch(/^eyJ/)
    await wire.close()
  })

  test('ends when it is told to before there is anything for the token file, and leaves nothing', async () => {
    await write((file) => ({ ...withAssertions(file), service: { url: 'http://127.0.0.1:9' } }))
    const marker = join(folder, 'started')
    const { child, output, ended } = run(
      node(`require('fs').writeFileSync(${JSON.stringify(marker)}, '')`),
    )
    await expect.poll(() => output.stderr).toContain('the agent waits')
    child.kill('SIGTERM')
    expect(await ended).toBe(128 + 15)
    expect(readdirSync(folder).toSorted()).toEqual(['agent.yaml', 'own-token'])
  })

  test('the program that is ended by a signal ends the agent as a shell would say', async () => {
    const { child, output, ended } = run(
      node(`setInterval(() => undefined, 1000); console.log('up')`),
    )
    await expect.poll(() => output.stdout).toContain('up')
    child.kill('SIGTERM')
    expect(await ended).toBe(128 + 15)
  })
})

describe('countersign agent on a socket', () => {
  const askBySocket = `
    curl -s -o /dev/null -w '%{http_code}' --unix-socket "$COUNTERSIGN_AGENT_SOCKET" -H 'Metadata: true' \\
      'http://localhost/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://orders.example'`
  const onSocket = (file: AgentFile): AgentFile => ({
    ...file,
    listen: { socket: './agent.sock' },
    shapes: { imds: {} },
  })

  test('gives a program its token there, past a proxy, and removes the socket at the end', async () => {
    await write(onSocket)
    const nowhere = 'http://127.0.0.1:9'
    const program = run(['--', 'sh', '-c', askBySocket], { http_proxy: nowhere })
    expect(await program.ended, program.output.stderr).toBe(0)
    expect(program.output.stdout).toBe('200')
    expect(program.output.stderr).toContain(`"origin":"unix:${join(folder, 'agent.sock')}"`)
    expect(readdirSync(folder).toSorted()).toEqual(['agent.yaml', 'own-token'])
  })

  test('takes the place of one that was killed, and not of one that runs', async () => {
    await write((file) => ({ ...onSocket(file), environmentFile: './agent.env' }))
    const first = run([])
    await expect.poll(() => first.output.stderr).toContain('listens')
    const second = run([])
    expect(await second.ended).toBe(1)
    expect(second.output.stderr).toMatch(
      /^agent: `listen\.socket` cannot be \S+: another process listens there/m,
    )
    first.child.kill('SIGKILL')
    await first.ended
    expect(existsSync(join(folder, 'agent.sock'))).toBe(true)
    const third = run(['--', 'sh', '-c', askBySocket])
    expect(await third.ended, third.output.stderr).toBe(0)
    expect(third.output.stdout).toBe('200')
  })

  test('is not where others could put one of theirs', async () => {
    await write(onSocket)
    chmodSync(folder, 0o777)
    const { output, ended } = run(['--', 'sh', '-c', askBySocket])
    expect(await ended).toBe(1)
    expect(output.stderr).toMatch(/^agent: `listen\.socket` cannot be \S+: its folder, /m)
    expect(output.stdout).toBe('')
  })
})

describe('countersign agent by itself', () => {
  test.for(['SIGTERM', 'SIGHUP'] as const)(
    'writes its variables for its owner alone, and removes them at the end, by %s',
    async (signal) => {
      await write((file) => ({ ...file, environmentFile: './agent.env' }))
      const { child, output, ended } = run([])
      await expect.poll(() => output.stderr).toContain('the agent listens')
      const file = join(folder, 'agent.env')
      expect(statSync(file).mode & 0o777).toBe(0o600)
      const variables = Object.fromEntries(
        readFileSync(file, 'utf8')
          .trim()
          .split('\n')
          .map((line) => line.split('=')),
      ) as Record<string, string>
      const program = spawn(process.execPath, [askingProgram, 'https://orders.example', '1'], {
        env: variables,
      })
      children.push(program)
      const [code] = (await once(program, 'close')) as [number]
      expect(code).toBe(0)
      expect(output.stderr).not.toContain(variables['IDENTITY_HEADER'])
      child.kill(signal)
      expect(await ended).toBe(0)
      expect(existsSync(file)).toBe(false)
    },
  )

  test('writes them so that a shell reads what they are, whatever is in a path', async () => {
    const file = "it's $(echo here) now"
    const tokenFile = { file: `./${file}`, tenant: cast.fabrikam, clientId: cast.deployClientId }
    await write((written) => ({
      ...written,
      environmentFile: './agent.env',
      shapes: { tokenFile },
    }))
    const script = '. ./agent.env; printf %s "$AZURE_FEDERATED_TOKEN_FILE"'
    const { output, ended } = run(['--', 'env', '-i', '/bin/sh', '-c', script])
    expect(await ended, output.stderr).toBe(0)
    expect(output.stdout).toBe(join(folder, file))
  })

  test('without a program and a file for its variables does not start', async () => {
    const { output, ended } = run([])
    expect(await ended).toBe(1)
    expect(output.stderr).toMatch(/^agent: no program would know of it: /)
  })

  test('does not start on a file with problems, and names all of them', async () => {
    writeFileSync(join(folder, 'agent.yaml'), 'service: { url: http://far.example }\nshapes: {}\n')
    const marker = join(folder, 'started')
    const { output, ended } = run(
      node(`require('fs').writeFileSync(${JSON.stringify(marker)}, '')`),
    )
    expect(await ended).toBe(1)
    expect(output.stderr).toContain('agent.yaml:1: agent.wrong-value: `service.url` must be ')
    expect(output.stderr).toContain('agent.yaml:2: agent.no-shape: ')
    expect(existsSync(marker)).toBe(false)
  })

  test('checks the file and reaches nothing else', async () => {
    await write((file) => ({ ...file, service: { url: 'https://nowhere.example' } }))
    const { output, ended } = run(['--check'])
    expect(await ended).toBe(0)
    expect(output.stdout).toBe('4 resources, 1 shape\nThe configuration is sound.\n')
  })
})

const withAssertions = (file: AgentFile): AgentFile => ({
  ...file,
  shapes: {
    tokenFile: {
      file: './identity-token',
      tenant: cast.fabrikam,
      clientId: cast.deployClientId,
      application: 'deploy',
    },
  },
})

const signatures = () =>
  service.vaultRecords().filter(({ operationName }) => operationName === 'KeySign').length
