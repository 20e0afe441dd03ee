import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { defaultWorldFile, readWorld } from '../../src/emulator/world.ts'
import { programsIn, runCommand } from '../support/command-line.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { missingKubectl, missingTerraform, quietTerraform } from '../support/foreign-programs.ts'
import { runModule } from '../support/module-run.ts'
import { required } from '../support/required.ts'
import { type AgentFile, startTestAgent } from '../support/test-agent.ts'
import {
  cast,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** The examples of clients, each run as it is written; that of an issuer's callers are in examples.test.ts. */

type Texts = Readonly<Record<string, string>>

const subscription = 'fab50000-0000-4000-8000-000000000002'
const management = 'https://management.azure.com/.default'
const vaults = 'https://vault.azure.net/.default'
const monitor = 'https://monitor.azure.com/.default'
const storage = 'https://storage.azure.com/.default'

let emulator: TestEmulator
let service: TestService
let folder: string
/** What every example is given. */
let shared: Texts
let callerFile: string

beforeAll(async () => {
  const world = readWorld(defaultWorldFile)
  const more = [monitor, storage].map((scope, i) => ({
    uris: [scope.replace('/.default', '')],
    clientId: `33333333-0000-4000-8000-0000000000${i}1`,
    tenants: ['fabrikam'],
    tokenSeconds: 3599,
    accessTokenVersion: 1 as const,
  }))
  emulator = await startServiceEmulator({
    ...world,
    resources: [...world.resources, ...more],
    vaults: world.vaults.filter(({ name }) => name !== 'contoso-spare'),
  })
  const workload = { tid: cast.fabrikam, oid: cast.workloadObjectId }
  const scopes = [cast.orders, cast.eventHubs, management, vaults, monitor, storage]
  service = await startTestService({
    emulator,
    grants: [
      {
        grant: 'workload',
        caller: { issuer: 'fabrikam', claims: workload },
        may: [{ application: 'events', tenant: 'any-listed', scopes }],
      },
      {
        grant: 'pipeline',
        caller: { issuer: 'github', claims: { repository_id: '123456' } },
        may: [
          { application: 'deploy', tenant: cast.fabrikam, assertion: { lifetimeSeconds: 300 } },
        ],
      },
      {
        grant: 'pod',
        caller: {
          issuer: 'cluster',
          claims: { sub: 'system:serviceaccount:billing:export' },
        },
        may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
      },
    ],
  })
  folder = mkdtempSync(join(tmpdir(), 'countersign-client-examples-'))
  const { caFile, authority, resourceManager, vaults: urls } = emulator.endpoints
  callerFile = join(folder, 'caller-token')
  writeFileSync(callerFile, await service.callerToken('fabrikam-orders'))
  shared = {
    PATH: programsIn(folder, {
      az: `exec '${process.execPath}' '${resolve('test/support/azure-login.ts')}' "$@"`,
    }),
    HOME: folder,
    NODE_EXTRA_CA_CERTS: caFile,
    CURL_CA_BUNDLE: caFile,
    COUNTERSIGN_URL: service.origin,
    ORDERS_URL: emulator.endpoints.sampleResource,
    AZURE_AUTHORITY_HOST: authority,
    RESOURCE_MANAGER: resourceManager,
    SUBSCRIPTION: subscription,
    VAULT_URL: required(urls['fabrikam-settings']),
  }
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await service.stop()
  await emulator.stop()
})

const read = (path: string) => readFileSync(join('examples', path), 'utf8')

const file = (name: string, text: string) => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const pipelineToken = () => service.callerToken('github')

/** What the token endpoint of Entra was asked since, by scope. */
async function exchangedBy(act: () => Promise<unknown>) {
  const before = service.exchanges().length
  await act()
  return service
    .exchanges()
    .slice(before)
    .map(({ scope, outcome }) => `${scope} ${outcome.kind}`)
}

test('every folder of examples is on the page that says what was proven', () => {
  const folders = globSync('examples/*/').map((path) => path.replace(/^examples\/(.*?)\/?$/, '$1'))
  const named = [...read('README.md').matchAll(/^\| \[`([\w-]+)`\]/gm)].map(([, name]) => name)
  expect(named.toSorted()).toEqual(folders.toSorted())
})

describe('examples/azure-cli', () => {
  const login = async (more: Texts = {}) =>
    runCommand(read('azure-cli/login.sh'), {
      ...shared,
      CLIENT_ID: cast.deployClientId,
      TENANT: cast.fabrikam,
      ...more,
    })

  const below = async (change: (text: string) => string = (text) => text) => {
    const placed = read('azure-cli/agent.yaml')
      .replace('https://countersign.contoso.example', service.origin)
      .replace('/var/run/secrets/tokens/countersign', callerFile)
    const AGENT_FILE = file('azure-cli-agent.yaml', change(placed))
    return runCommand(read('azure-cli/identity.sh'), { ...shared, AGENT_FILE })
  }

  test('signs in below the agent, as a managed identity, with tokens alone', async () => {
    const exchanged = await exchangedBy(async () => {
      const { code, stdout, stderr } = await below()
      expect(code, stderr).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject([{ id: subscription, tenantId: cast.fabrikam }])
    })
    expect(exchanged).toEqual([
      'https://management.azure.com/.default issued',
      'https://vault.azure.net/.default issued',
    ])
  })

  test('does not sign in below an agent that has no token of Azure Resource Manager', async () => {
    const { code, stdout, stderr } = await below((text) =>
      text.replace('https://management.core.windows.net:', 'https://another.example:'),
    )
    expect(code).not.toBe(0)
    expect(stdout).toBe('')
    expect(stderr).toContain("none of those in the agent's file")
  })

  test('signs in with a fresh assertion, which is presented twice', async () => {
    const COUNTERSIGN_TOKEN = await pipelineToken()
    const exchanged = await exchangedBy(async () => {
      const { code, stdout, stderr } = await login({ COUNTERSIGN_TOKEN })
      expect(code, stderr).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject([{ id: subscription, tenantId: cast.fabrikam }])
    })
    expect(exchanged).toEqual([
      'https://management.core.windows.net//.default issued',
      'https://vault.azure.net/.default issued',
    ])
  })

  test('does not sign in as a caller that no grant names', async () => {
    const COUNTERSIGN_TOKEN = await service.callerToken('github', {
      claims: { repository_id: '123457' },
    })
    const { code, stdout } = await login({ COUNTERSIGN_TOKEN })
    expect(code).not.toBe(0)
    expect(stdout).toBe('')
  })

  test('a callback that asks for another assertion gets one each time, and nothing else with it', async () => {
    const command = `countersign assertion --application deploy --tenant ${cast.fabrikam}`
    const environment = { ...shared, COUNTERSIGN_TOKEN_FILE: file('ci', await pipelineToken()) }
    const answers = [await runCommand(command, environment), await runCommand(command, environment)]
    for (const { code, stdout, stderr } of answers) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
    }
    expect(answers[0]?.stdout).not.toBe(answers[1]?.stdout)
    file('ci', await service.callerToken('github', { wrong: 'expired' }))
    const refused = await runCommand(command, environment)
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/^assertion: .+/)
  })
})

describe('examples/event-hubs', () => {
  const send = (more: Texts = {}) => {
    const { fabrikam, northwind } = emulator.endpoints.eventHubs
    return runCommand(read('event-hubs/send.sh'), {
      ...shared,
      COUNTERSIGN_TOKEN_FILE: callerFile,
      FABRIKAM: cast.fabrikam,
      FABRIKAM_HUB: required(fabrikam),
      NORTHWIND: cast.northwind,
      NORTHWIND_HUB: required(northwind),
      ...more,
    })
  }

  test('sends to the hubs of two tenants as one application', async () => {
    const { code, stdout, stderr } = await send()
    expect(code, stderr).toBe(0)
    expect(stdout).toBe('201\n201\n')
  })

  test("is refused by a hub of another tenant than the token's", async () => {
    const { code, stdout } = await send({ NORTHWIND: cast.fabrikam })
    expect(code).toBe(22)
    expect(stdout).toBe('201\n401\n')
  })
})

describe('examples/arc', () => {
  async function run(more: Texts = {}) {
    const keyFolder = join(folder, 'tokens')
    mkdirSync(keyFolder, { recursive: true })
    const agent = await startTestAgent({
      origin: service.origin,
      clock: service.clock,
      ownToken: await service.callerToken('fabrikam-orders'),
      file: ({ service: found, identity }) => ({
        ...(parse(read('arc/agent.yaml')) as AgentFile),
        service: found,
        identity,
      }),
      arcPlace: { keyFolder, himds: join(folder, 'himds') },
    })
    const { variables } = agent.agent
    const ended = await runCommand(read('arc/list-resources.sh'), {
      ...shared,
      ...variables,
      ...more,
    })
    await agent.stop()
    return ended
  }

  test('lists the resources of a subscription and reads a secret, each for a key file', async () => {
    const { code, stdout, stderr } = await run()
    expect(code, stderr).toBe(0)
    expect(stdout).toBe(
      'Microsoft.EventHub/namespaces orders\n' +
        'Microsoft.KeyVault/vaults fabrikam-settings\n' +
        'Server=orders.fabrikam.example\n',
    )
  })

  test('reads no secret that its application has no role for', async () => {
    const { code, stdout } = await run({ SECRET: 'payroll-database' })
    expect(code).toBe(22)
    expect(stdout).not.toContain('Server=')
  })
})

describe('examples/azure-sdk/read-secret.ts', () => {
  const run = async (SECRET: string) => {
    const agent = await startTestAgent({
      origin: service.origin,
      clock: service.clock,
      ownToken: await service.callerToken('fabrikam-orders'),
    })
    const { PATH, NODE_EXTRA_CA_CERTS, VAULT_URL } = shared
    const environment = { PATH, NODE_EXTRA_CA_CERTS, VAULT_URL, SECRET, VAULT_HOST_CHECK: 'off' }
    const ended = await runModule('examples/azure-sdk/read-secret.ts', {
      ...(environment as Texts),
      ...agent.agent.variables,
    })
    await agent.stop()
    return ended
  }

  test('reads a secret of another tenant, by its environment', async () => {
    const { code, stdout, stderr } = await run('orders-database')
    expect(code, stderr).toBe(0)
    expect(stdout).toBe('Server=orders.fabrikam.example\n')
  })

  test('reads none that its application has no role for', async () => {
    const { code, stdout, stderr } = await run('payroll-database')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('ForbiddenByRbac')
  })
})

describe('examples/msal/client-assertion.ts', () => {
  const run = async (token: string) =>
    runModule('examples/msal/client-assertion.ts', {
      ...shared,
      NODE_OPTIONS: `--import=${import.meta.resolve('../support/client-from-source.ts')}`,
      COUNTERSIGN_TOKEN_FILE: file('msal-token', token),
      AZURE_TENANT_ID: cast.fabrikam,
      AZURE_CLIENT_ID: cast.deployClientId,
      SCOPE: cast.eventHubs,
    })

  test('gets a token, for one signature', async () => {
    const signed = () =>
      service.vaultRecords().filter(({ operationName }) => operationName === 'KeySign').length
    const before = signed()
    const { code, stdout, stderr } = await run(await pipelineToken())
    expect(code, stderr).toBe(0)
    const [claims = '', again] = stdout.trim().split('\n')
    expect(JSON.parse(claims)).toMatchObject({ tid: cast.fabrikam, appid: cast.deployClientId })
    expect(again).toBe(claims)
    expect(stdout).not.toContain('eyJ')
    expect(signed() - before).toBe(1)
  })

  test('says why there is none', async () => {
    const { code, stderr } = await run(await service.callerToken('github', { wrong: 'expired' }))
    expect(code).toBe(1)
    expect(stderr).toContain('CountersignError')
  })
})

describe('examples/logstash', () => {
  test("the plugin's request, with what the environment says, is answered with what it reads", async () => {
    const variables = Object.fromEntries(
      [...read('logstash/environment').matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [
        name,
        value,
      ]),
    ) as Texts
    expect(Object.keys(variables)).toEqual([
      'AZURE_AUTHORITY_HOST',
      'AZURE_TENANT_ID',
      'AZURE_CLIENT_ID',
      'AZURE_FEDERATED_TOKEN_FILE',
    ])
    const { status, text, body } = await service.ask(
      `POST /${variables['AZURE_TENANT_ID'] ?? ''}/oauth2/v2.0/token`,
      {
        form: {
          grant_type: 'client_credentials',
          client_id: variables['AZURE_CLIENT_ID'] ?? '',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: readFileSync(callerFile, 'utf8'),
          scope: monitor,
        },
      },
    )
    expect(status, text).toBe(200)
    expect(body).toMatchObject({ access_token: expect.any(String) as unknown })
  })

  test('its pipeline names no secret', () => {
    const settings = read('logstash/pipeline.conf').matchAll(/^ {4}(\w+) =>/gm)
    expect([...settings].map(([, name]) => name)).toEqual([
      'managed_identity',
      'data_collection_endpoint',
      'dcr_immutable_id',
      'dcr_stream_name',
    ])
  })
})

/** Terraform itself, with the backend that is in it: its providers are elsewhere. */
describe.runIf(missingTerraform === undefined)('examples/terraform, by Terraform itself', () => {
  /** As far as the door of its storage account, which is not emulated: a proxy in its environment. */
  async function init(identity: Texts, before: readonly string[] = []) {
    const proxy = createServer().listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const project = mkdtempSync(join(folder, 'terraform-'))
    writeFileSync(join(project, 'main.tf'), read('terraform/main.tf'))
    const [program = '', ...args] = [
      ...before,
      ...['terraform', 'init', '-input=false', '-no-color'],
    ]
    const terraform = spawn(program, args, {
      cwd: project,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...shared,
        SSL_CERT_FILE: emulator.endpoints.caFile,
        HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
        NO_PROXY: '127.0.0.1',
        ...quietTerraform,
        // A cloud that it does not know: the public one needs neither this nor the emulator's CA.
        ARM_METADATA_HOSTNAME: new URL(emulator.endpoints.resourceManager).host,
        ARM_SUBSCRIPTION_ID: subscription,
        ARM_TENANT_ID: cast.fabrikam,
        ...identity,
      },
    })
    let asked: string | undefined
    proxy.on('connect', ({ url }, socket) => {
      asked = url
      // It would come again and again.
      terraform.kill('SIGTERM')
      socket.destroy()
    })
    const [stderr] = await Promise.all([text(terraform.stderr), once(terraform, 'close')])
    proxy.close()
    return { asked, stderr }
  }

  const withAssertion = (token: string) =>
    init({
      ARM_USE_OIDC: 'true',
      ARM_CLIENT_ID: cast.deployClientId,
      ARM_OIDC_REQUEST_URL: `${service.origin}/v1/assertion/deploy/${cast.fabrikam}`,
      ARM_OIDC_REQUEST_TOKEN: token,
    })

  /** `countersign agent --config agent.yaml -- terraform init`, with the example's file. */
  async function belowAgent(change: (text: string) => string = (text) => text) {
    const placed = read('terraform/agent.yaml')
      .replace('https://countersign.contoso.example', service.origin)
      .replace('/var/run/secrets/tokens/countersign', callerFile)
    const config = file('terraform-agent.yaml', change(placed))
    return init({}, ['countersign', 'agent', '--config', config, '--'])
  }

  test('gets its token from the agent, by no variable of its own, and takes it to its storage account', async () => {
    const exchanged = await exchangedBy(async () => {
      const { asked, stderr } = await belowAgent()
      expect(asked, stderr).toBe('fabrikamstate.blob.core.windows.net:443')
    })
    expect(exchanged).toEqual([`${storage} issued`])
  }, 120_000)

  test('says that its storage is none of the resources, where the agent has none of it', async () => {
    const { asked, stderr } = await belowAgent((text) =>
      text.replace('https://storage.azure.com', 'https://another.example'),
    )
    expect(asked).toBeUndefined()
    expect(stderr).toContain("none of those in the agent's file")
  }, 120_000)

  test('gets its token with an assertion of the service, and takes it to its storage account', async () => {
    const exchanged = await exchangedBy(async () => {
      const { asked, stderr } = await withAssertion(await pipelineToken())
      expect(asked, stderr).toBe('fabrikamstate.blob.core.windows.net:443')
    })
    expect(exchanged).toEqual([`${storage} issued`])
  }, 120_000)

  test('is refused with a token of a job that no grant names', async () => {
    const stranger = await service.callerToken('github', { claims: { repository_id: '123457' } })
    const exchanged = await exchangedBy(async () => {
      const { asked, stderr } = await withAssertion(stranger)
      expect(asked).toBeUndefined()
      expect(stderr).toContain('not_granted')
    })
    expect(exchanged).toEqual([])
  }, 120_000)
})

interface Container {
  readonly command: readonly string[]
  readonly env?: object[]
  readonly startupProbe?: { readonly exec: { readonly command: readonly string[] } }
}

interface PodManifest {
  readonly spec: {
    readonly initContainers: readonly [Container]
    readonly containers: readonly [Container]
  }
}

describe('examples/kubernetes/sidecar.yaml', () => {
  const [configMap, pod] = parseAllDocuments(read('kubernetes/sidecar.yaml')).map(
    (document) => document.toJS() as unknown,
  ) as [{ data: { 'agent.yaml': string } }, PodManifest]

  test('the program of the pod gets its token from the agent beside it', async () => {
    const places = {
      '/etc/countersign': join(folder, 'etc'),
      '/var/run/secrets/countersign': join(folder, 'secrets'),
      '/run/countersign': join(folder, 'run'),
      'https://countersign.contoso.example': service.origin,
    }
    const placed = (text: string) =>
      Object.entries(places).reduce((all, [there, ours]) => all.replaceAll(there, ours), text)
    for (const name of ['etc', 'secrets', 'run']) mkdirSync(join(folder, name))
    file('etc/agent.yaml', placed(configMap.data['agent.yaml']))
    file('secrets/token', await service.callerToken('cluster'))
    const [agent] = pod.spec.initContainers
    const [program] = pod.spec.containers
    const quoted = (words: readonly string[]) =>
      words.map((word) => `'${placed(word).replaceAll("'", `'\\''`)}'`).join(' ')
    const { code, stdout, stderr } = await runCommand(
      `${quoted(agent.command)} & agent=$!
       trap 'kill $agent; wait $agent' EXIT
       for i in $(seq 100); do ${quoted(required(agent.startupProbe).exec.command)} && break; sleep 0.2; done
       ${quoted(program.command)}`,
      shared,
    )
    expect(code, stderr).toBe(0)
    expect(stdout).toContain('"orders":')
    expect(service.entries().at(-1)).toMatchObject({ kind: 'token.issued', grant: 'pod' })
  })

  // kubectl decodes into the types of Kubernetes itself: what it does not know is not there any more.
  const typed = (manifest: unknown): unknown => {
    const command = ['set', 'env', '--local', '-f', '-', 'SEEN=yes', '-o', 'json']
    const { stdout, stderr } = spawnSync('kubectl', command, {
      input: JSON.stringify(manifest),
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    const { spec, ...others } = JSON.parse(stdout) as PodManifest
    for (const { env } of spec.containers) env?.pop()
    return { ...others, spec }
  }

  test.runIf(missingKubectl === undefined)(
    'and its sibling are pods to kubectl, to the last field',
    () => {
      const sibling: unknown = parse(read('kubernetes/pod.yaml'))
      for (const manifest of [pod, sibling]) {
        expect(typed(manifest)).toMatchObject(manifest as object)
        const misspelt = JSON.stringify(manifest).replace('expirationSeconds', 'expirySeconds')
        const parsed = JSON.parse(misspelt) as object
        expect(typed(parsed)).not.toMatchObject(parsed)
      }
    },
  )
})
