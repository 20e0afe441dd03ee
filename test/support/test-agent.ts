import type { IncomingHttpHeaders } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent as Connections, getGlobalDispatcher, request as send } from 'undici'
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { Agent } from '../../src/agent/agent.ts'
import type { ArcPlace } from '../../src/agent/arc.ts'
import { ServiceError } from '../../src/agent/countersign-service.ts'
import type { Clock } from '../../src/base/clock.ts'
import { agentFrom } from '../../src/cli/agent-wiring.ts'
import type { agentForm } from '../../src/config/agent/agent-form.ts'
import { loadAgent } from '../../src/config/agent/load-agent.ts'
import type { CallerEnvironment } from '../../src/config/environment.ts'
import { cast } from './test-service.ts'

/** `agent.yaml` as a program would write it. */
export type AgentFile = z.input<typeof agentForm>

/** What a program was answered, parsed. */
export interface AgentAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
}

/** A real agent in this process, from a file on disk. */
export interface TestAgent {
  readonly agent: Agent
  readonly folder: string
  /** The workload's own token, which a test may replace or remove. */
  readonly ownTokenFile: string
  /** Codes of what failed, in order. */
  readonly failures: readonly string[]
  /** `GET /msi/token?…`, with these headers and no others. */
  ask(
    request: string,
    headers?: Readonly<Record<string, string | string[]>>,
    body?: string,
  ): Promise<AgentAnswer>
  /** As App Service's clients ask for a token of a resource. */
  askFor(resource: string, more?: string): Promise<AgentAnswer>
  stop(): Promise<void>
}

export interface TestAgentOptions {
  readonly origin: string
  readonly clock: Clock
  /** What is in the file of the workload's own token. */
  readonly ownToken: string
  /** Sections put in place of the default ones. */
  readonly file?: (written: AgentFile) => AgentFile
  readonly environment?: CallerEnvironment
  /** Instead of where Azure Arc has its things. */
  readonly arcPlace?: ArcPlace
}

/** Two resources of one tenant, one of another, and one whose name is the agent's own. */
export const agentFile = (origin: string): AgentFile => ({
  service: { url: origin },
  identity: { kind: 'token-file', file: './own-token' },
  resources: {
    'https://orders.example': { application: 'events', tenant: cast.fabrikam },
    'https://eventhubs.azure.net': { application: 'events', tenant: cast.fabrikam },
    'https://northwind.orders.example': {
      application: 'events',
      tenant: cast.northwind,
      scope: cast.orders,
      clientId: cast.eventsClientId,
    },
    'https://vault.azure.net': { application: 'events', tenant: cast.fabrikam },
  },
  shapes: { appService: {} },
})

/** Writes `agent.yaml` and the workload's own token into a folder, and returns the path of the former. */
export function writeAgentFile(folder: string, file: AgentFile, ownToken: string): string {
  writeFileSync(join(folder, 'own-token'), ownToken)
  const path = join(folder, 'agent.yaml')
  writeFileSync(path, stringify(file))
  return path
}

export async function startTestAgent(options: TestAgentOptions): Promise<TestAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-agent-'))
  const written = agentFile(options.origin)
  const file = writeAgentFile(folder, options.file?.(written) ?? written, options.ownToken)
  const loaded = await loadAgent(file, 'must-be-here')
  if (!loaded.ok) throw new Error(`agent.yaml is broken: ${JSON.stringify(loaded.problems)}`)
  const failures: string[] = []
  const failed = (error: unknown) => {
    failures.push(error instanceof ServiceError ? error.code : String(error))
  }
  const agent = await agentFrom(
    loaded.config,
    options.environment ?? {},
    options.clock,
    { requestFailed: failed, refreshFailed: failed, tokenFileAwaited: failed, failed },
    options.arcPlace,
  )
  try {
    await agent.ready
  } catch (error) {
    await agent.stop(1000)
    throw error
  }
  const { listen } = loaded.config
  const dispatcher =
    'socket' in listen
      ? new Connections({ connect: { socketPath: listen.socket } })
      : getGlobalDispatcher()
  const origin = 'socket' in listen ? 'http://localhost' : agent.origin
  const ask: TestAgent['ask'] = async (request, headers = {}, body) => {
    const [method = '', path = ''] = request.split(' ')
    const response = await send(origin + path, {
      dispatcher,
      method,
      headers: { connection: 'close', ...headers },
      body: body ?? null,
    })
    return {
      status: response.statusCode,
      headers: response.headers,
      body: (await response.body.json()) as AgentAnswer['body'],
    }
  }
  return {
    agent,
    folder,
    ownTokenFile: join(folder, 'own-token'),
    failures,
    ask,
    askFor: (resource, more = '') =>
      ask(`GET /msi/token?api-version=2019-08-01&resource=${encodeURIComponent(resource)}${more}`, {
        'x-identity-header': agent.variables['IDENTITY_HEADER'] ?? '',
      }),
    stop: async () => {
      await agent.stop(1000)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
