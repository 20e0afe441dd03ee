import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { programsIn, runCommand } from '../support/command-line.ts'
import { startedEntry } from '../support/entries.ts'
import { createSqliteStore, type SqliteStore } from '../support/ledger-store.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import {
  cast,
  defaultGrants,
  ordersAsk,
  startTestService,
  type ConfigurationFile,
  type GrantFile,
  type TestService,
} from '../support/test-service.ts'
import {
  clientOrder,
  createLoopbackTlsFiles,
  type LoopbackTlsFiles,
} from '../support/tls-clients.ts'

/** Runs the commands of the README and the guides as a reader would, each in a shell of its own. */

let service: TestService
let environment: Record<string, string>

beforeAll(async () => {
  service = await startTestService({
    grants: [
      ...defaultGrants,
      {
        grant: 'incident-response',
        caller: { issuer: 'gitlab', claims: { project_id: '20' } },
        may: [{ admin: 'revoke' }],
      },
    ],
  })
  const file = (name: string, text: string) => {
    const path = join(service.folder, name)
    writeFileSync(path, text)
    return path
  }
  // As most programs write files.
  const tokenFile = (name: string, token: string) => file(name, `${token}\n`)
  const exampleAgent = (name: string) =>
    readFileSync(`examples/agent/${name}`, 'utf8')
      .replace('https://countersign.contoso.example', service.origin)
      .replace('/var/run/secrets/tokens/countersign', './caller-token')
      .replace('/run/countersign/', './')
  environment = {
    // Azure's own command line, which says what it was told.
    PATH: programsIn(service.folder, { az: 'echo "az $*"' }),
    COUNTERSIGN_URL: service.origin,
    TENANT: cast.fabrikam,
    EVENTS_CLIENT_ID: cast.eventsClientId,
    DEPLOY_CLIENT_ID: cast.deployClientId,
    CALLER_TOKEN_FILE: tokenFile('caller-token', await service.callerToken('fabrikam-orders')),
    PIPELINE_TOKEN_FILE: tokenFile('pipeline-token', await service.callerToken('github')),
    ADMIN_TOKEN_FILE: tokenFile('admin-token', await service.callerToken('gitlab')),
    AGENT_FILE: file('agent.yaml', exampleAgent('agent.yaml')),
    AGENT_SOCKET_FILE: file('agent-socket.yaml', exampleAgent('socket.yaml')),
    ATTEMPT: await attemptOfToken(),
    LEDGER: service.ledgerFile,
    BASE: service.folder,
    VAULT_LOG: service.emulator.endpoints.vaultLogFolder,
    NODE_EXTRA_CA_CERTS: service.emulator.endpoints.caFile,
    AZURE_AUTHORITY_HOST: service.emulator.endpoints.authority,
  }
})

afterAll(async () => {
  await service.stop()
})

/** Of a workload's token. */
async function attemptOfToken(): Promise<string> {
  const token = await service.callerToken('fabrikam-orders')
  const { headers } = await service.ask('POST /v1/token', { token, json: ordersAsk })
  return String(headers['countersign-attempt'])
}

/** Guides whose first command stands before the first heading. */
const beginsWithCommands = ['docs/audit.md', 'docs/configuration.md']

/** Sections with a command, by heading: sections that show text only have nothing to run. */
function commandsOf(page: string): readonly [heading: string, command: string][] {
  return readFileSync(page, 'utf8')
    .split(/^## /m)
    .slice(beginsWithCommands.includes(page) ? 0 : 1)
    .flatMap((section): [string, string][] => {
      const heading = section.split('\n')[0] ?? ''
      return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, command = '']) => [
        heading,
        command,
      ])
    })
}

const run = (command: string, more: Readonly<Record<string, string>> = {}, folder = '.') =>
  runCommand(command, { ...environment, ...more }, folder)

const byCertificate = 'A workload with a client certificate'

describe('docs/clients.md', () => {
  const expected: Readonly<Record<string, RegExp>> = {
    'A workload, with curl': /"access_token":"eyJ/,
    'A workload, with the command line': /^eyJ/,
    [byCertificate]: /"access_token":"eyJ/,
    'A CI job': /"client_assertion":"eyJ/,
    'An Azure SDK, with an assertion': /"aud":"https:\/\/eventhubs\.azure\.net"/,
    'An Azure SDK, by its environment alone': /"access_token":"eyJ/,
    'Any OAuth client': /"access_token":"eyJ/,
    'A program that knows managed identity alone': /"access_token":"eyJ/,
    Terraform: /^\{"value":"eyJ/,
  }

  test('has the commands that are known here', () => {
    const headings = new Set(commandsOf('docs/clients.md').map(([heading]) => heading))
    expect([...headings]).toEqual(Object.keys(expected))
  })

  test.each(commandsOf('docs/clients.md').filter(([heading]) => heading !== byCertificate))(
    '%s',
    async (heading, command) => {
      const { code, stdout, stderr } = await run(command)
      expect(code, stderr).toBe(0)
      expect(stdout).toMatch(expected[heading] ?? /never/)
    },
  )
})

describe('docs/configuration.md', () => {
  const commands = commandsOf('docs/configuration.md')
  const expected: Readonly<Record<string, RegExp>> = {
    '# Configuration': /^The configuration is sound\.$/m,
    Grants: /^GRANTED: by grant: fabrikam-orders$/m,
    'What a change lets callers do': /^NOTHING WIDENED/,
    'Which grants are used': /^grant fabrikam-orders, (?:never|last) used/m,
  }

  test('has the commands that are known here', () => {
    expect(commands.map(([heading]) => heading)).toEqual(Object.keys(expected))
  })

  test.each(commands)('%s', async (heading, command) => {
    const { code, stdout, stderr } = await run(command, {}, service.folder)
    expect(code, stdout + stderr).toBe(0)
    expect(stdout).toMatch(expected[heading] ?? /never/)
  })
})

describe('docs/audit.md', () => {
  const commands = commandsOf('docs/audit.md')
  const expected: Readonly<Record<string, RegExp>> = {
    // The two logs of all that agree.
    '# Audit': /^ACCOUNTED FOR/,
    'Keeping watch': /^countersign_reconcile_round_succeeded 1$/m,
    'The page': /^ACCOUNTED FOR/,
    'The ledger': /^SOUND[^]*Self-consistent, not proven unrewritten/,
    'One attempt': /^Attempt [^]*token\.issued/,
  }

  test('has the commands that are known here', () => {
    expect(commands.map(([heading]) => heading)).toEqual(Object.keys(expected))
  })

  test.each(commands)('%s', async (heading, command) => {
    const { code, stdout, stderr } = await run(command, {}, service.folder)
    expect(code, stdout + stderr).toBe(0)
    expect(stdout).toMatch(expected[heading] ?? /never/)
  })
})

describe('README.md', () => {
  /** What a reader has elsewhere, and we here. */
  const here = (command: string) =>
    [
      ['https://countersign.contoso.example', service.origin],
      ['"application":"fabrikam-events"', '"application":"events"'],
      ['/mnt/insights-logs-auditevent', service.emulator.endpoints.vaultLogFolder],
    ].reduce((text, [there = '', ours = '']) => text.replaceAll(there, ours), command)
  const expected: readonly (readonly [command: RegExp, output: RegExp])[] = [
    [/^curl /, /"access_token":"eyJ/],
    [/^az login /m, /^az login --service-principal -u \S+ -t \S+ --federated-token eyJ[\w.-]+$/m],
    [/^countersign reconcile /, /^ACCOUNTED FOR/],
  ]
  const commands = commandsOf('README.md')

  test('has the commands that are known here', () => {
    const known = commands.map(([, command]) => expected.findIndex(([one]) => one.test(command)))
    expect(known).toEqual([...expected.keys()])
  })

  test.each(commands)('%s: %s', async (_, command) => {
    const [, output] = required(expected.find(([one]) => one.test(command)))
    const read = (name: string) => readFileSync(required(environment[name]), 'utf8').trimEnd()
    const caller = {
      CALLER_TOKEN: read('CALLER_TOKEN_FILE'),
      CLIENT_ID: cast.deployClientId,
      COUNTERSIGN_TOKEN: read('PIPELINE_TOKEN_FILE'),
    }
    const { code, stdout, stderr } = await run(here(command), caller, service.folder)
    expect(code, stdout + stderr).toBe(0)
    expect(stdout).toMatch(output)
  })
})

describe('docs/operations.md', () => {
  const commands = commandsOf('docs/operations.md')
  const expected: Readonly<Record<string, RegExp>> = {
    Revocation:
      /^REVOKED [^]*[0-9]+ assertions were handed out|^\S+ {2}grant deploy-pipeline [^]*^LIFTED/m,
    Probes: /^SATISFIED: 2 of 2 probes/m,
    PostgreSQL: /is prepared|^target {2}postgres:/m,
  }
  let server: TestPostgres
  let store: SqliteStore
  let probes: string
  beforeAll(async () => {
    const page = readFileSync('docs/operations.md', 'utf8')
    probes = join(service.folder, 'probes.yaml')
    writeFileSync(probes, /^```yaml\n(probes:[^]*?)```/m.exec(page)?.[1] ?? '')
    server = await startPostgres()
    store = createSqliteStore()
    const ledger = await store.open()
    await ledger.append([startedEntry('1')])
    await ledger.close()
  })
  afterAll(async () => {
    store.remove()
    await server.stop()
  })

  test('has the commands that are known here', () => {
    expect([...new Set(commands.map(([heading]) => heading))]).toEqual(Object.keys(expected))
  })

  test.each(commands)('%s', async (heading, command) => {
    const { code, stdout, stderr } = await run(command, {
      LEDGER: store.file,
      PROBES: probes,
      METRICS_FILE: join(service.folder, 'countersign.prom'),
      OWNER_URL: await server.createDatabase(),
      DATABASE_URL: await server.createDatabase(),
    })
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(expected[heading] ?? /never/)
  })
})

// Last: what it signs is in a ledger of its own, which the commands of the audit above know nothing of.
describe('examples/mutual-tls', () => {
  const tlsFiles = createLoopbackTlsFiles()
  let mutualTls: TestService

  beforeAll(async () => {
    mutualTls = await startMutualTls(service.emulator, tlsFiles)
  })
  afterAll(async () => {
    await mutualTls.stop()
    await tlsFiles.remove()
  })

  test.each(commandsOf('docs/clients.md').filter(([heading]) => heading === byCertificate))(
    'serves the command of the guide: %s',
    async (_, command) => {
      const { certificatePem, keyPem } = await service.emulator.clients.issue(clientOrder())
      const { code, stdout, stderr } = await run(command, {
        COUNTERSIGN_URL: mutualTls.origin,
        COUNTERSIGN_CA_FILE: tlsFiles.write('ca.pem', tlsFiles.ca),
        CLIENT_CERT_FILE: tlsFiles.write('client.pem', certificatePem),
        CLIENT_KEY_FILE: tlsFiles.write('client.key', keyPem),
      })
      expect(code, stderr).toBe(0)
      expect(stdout).toMatch(/"access_token":"eyJ/)
    },
  )
})

/** Issuers and grants as the example has them; CA, vault and ports are those of the emulator. */
function startMutualTls(emulator: TestEmulator, tlsFiles: LoopbackTlsFiles): Promise<TestService> {
  const read = (file: string): unknown =>
    parse(readFileSync(join('examples/mutual-tls', file), 'utf8'))
  const { issuers } = read('countersign.yaml') as Pick<ConfigurationFile, 'issuers'>
  const { clientCaFile } = emulator.endpoints
  return startTestService({
    emulator,
    configuration: (file) => ({
      ...tlsFiles.listening(file),
      issuers: { edge: { ...required(issuers['edge']), caFile: clientCaFile } as never },
    }),
    grants: [read('grants/billing-export.yaml') as GrantFile],
  })
}
