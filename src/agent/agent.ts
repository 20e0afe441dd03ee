import { type BackgroundTask, startBackgroundTask } from '../base/background-task.ts'
import type { Clock } from '../base/clock.ts'
import type { ApplicationName, ClientId, Cloud, TenantId } from '../base/ids.ts'
import { appService, appServiceVariables } from './app-service.ts'
import { arc, arcVariables } from './arc.ts'
import { ciShapes, ciVariables } from './ci.ts'
import { cloudShell, cloudShellVariables } from './cloud-shell.ts'
import type { AssertionOrder, CountersignService, ServiceError } from './countersign-service.ts'
import { imds, imdsVariables } from './imds.ts'
import { createLocalSecret } from './local-secret.ts'
import { listenOnLoopback } from './loopback-listener.ts'
import { type AnswerResource, createAnswerResource, type Resource } from './resources.ts'
import { createResourceTokens } from './resource-tokens.ts'
import type { Shape } from './shape.ts'
import {
  assertionAgeMaxMs,
  assertionLifetimeSeconds,
  keepTokenFile,
  ownTokenAgeMaxMs,
  tokenFileVariables,
} from './token-file.ts'
import { ownTokenOf, type WorkloadIdentity } from './workload-identity.ts'

export interface AgentOptions {
  readonly service: CountersignService
  readonly identity: WorkloadIdentity
  /** Of the service. */
  readonly origin: Cloud
  /** An address of loopback. */
  readonly listen: { readonly host: string; readonly port: number }
  readonly resources: readonly Resource[]
  readonly shapes: AgentShapes
  readonly clock: Clock
  readonly events: AgentEvents
}

/** Which endpoints there are; absent: it is not there. */
export interface AgentShapes {
  readonly appService?: 'on'
  readonly imds?: 'on'
  readonly arc?: { readonly keyFolder: string }
  readonly cloudShell?: 'on'
  /** Assertions, in the shape of CI platforms. */
  readonly requestUrl?: AssertionOrder
  readonly tokenFile?: TokenFileShape
}

export interface TokenFileShape {
  readonly file: string
  readonly tenant: TenantId
  readonly clientId: ClientId
  /** Whose assertions are in the file; absent: the workload's own token is, for the service's own endpoint. */
  readonly application?: ApplicationName
}

/** What whoever runs the agent is told; a program is told less. */
export interface AgentEvents {
  /** A program did not get what it asked for. */
  readonly requestFailed: (error: ServiceError) => void
  /** The token that there is goes on to be given out, while it lives. */
  readonly refreshFailed: (error: unknown) => void
  /** A mistake of ours. */
  readonly failed: (error: unknown) => void
}

/** A sidecar that answers programs of this machine, as Azure's own endpoints would. */
export interface Agent {
  /** `http://127.0.0.1:41234`. */
  readonly origin: string
  /** What programs must find in their environment; some of it is secret. */
  readonly variables: Readonly<Record<string, string>>
  /** Takes no new request; resolves when what was asked has been answered, or after `deadlineMs`. */
  stop(deadlineMs: number): Promise<void>
}

const lookForDueMs = 1000

/**
 * @throws Error of the system when the address cannot be bound; ServiceError when there is nothing to put into
 *   the token file.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { events } = options
  const tokens = createResourceTokens({ ...options, onRefreshFailed: events.refreshFailed })
  const answerResource = createAnswerResource(options.resources, tokens, events.requestFailed)
  const endpoints = endpointsFor(options, answerResource)
  const tokenFile = await tokenFileFor(options)
  const listener = await listenOnLoopback(
    options.listen,
    endpoints.flatMap(({ shapes }) => shapes),
    events.failed,
  ).catch(async (error: unknown) => {
    await tokenFile?.stop()
    throw error
  })
  const refreshing = startBackgroundTask(
    lookForDueMs,
    () => {
      tokens.refresh()
      return Promise.resolve()
    },
    events.failed,
  )
  const { origin } = listener
  return {
    origin,
    variables: {
      ...Object.fromEntries(
        endpoints.flatMap(({ variables }) => Object.entries(variables(origin))),
      ),
      ...variablesOfTokenFile(options),
    },
    stop: async (deadlineMs) => {
      await refreshing.stop()
      await listener.stop(deadlineMs)
      await tokens.stop()
      await tokenFile?.stop()
      for (const { end } of endpoints) await end?.()
    },
  }
}

interface Endpoint {
  readonly shapes: readonly Shape[]
  readonly variables: (origin: string) => Readonly<Record<string, string>>
  readonly end?: () => Promise<void>
}

function endpointsFor(
  { shapes, clock, service, events }: AgentOptions,
  answerResource: AnswerResource,
): readonly Endpoint[] {
  const endpoints: Endpoint[] = []
  if (shapes.appService !== undefined) {
    const secret = createLocalSecret()
    const shape = appService(secret, answerResource)
    const variables = (origin: string) => appServiceVariables(origin + shape.path, secret)
    endpoints.push({ shapes: [shape], variables })
  }
  if (shapes.imds !== undefined) {
    endpoints.push({ shapes: [imds(answerResource, clock)], variables: imdsVariables })
  }
  if (shapes.arc !== undefined) {
    const shape = arc(shapes.arc.keyFolder, answerResource, clock)
    const variables = (origin: string) => arcVariables(origin + shape.path)
    endpoints.push({ shapes: [shape], variables, end: () => shape.end() })
  }
  if (shapes.cloudShell !== undefined) {
    const shape = cloudShell(answerResource, clock)
    const variables = (origin: string) => cloudShellVariables(origin + shape.path)
    endpoints.push({ shapes: [shape], variables })
  }
  if (shapes.requestUrl !== undefined) {
    const secret = createLocalSecret()
    endpoints.push({
      shapes: ciShapes(shapes.requestUrl, secret, service, events.requestFailed),
      variables: (origin) => ciVariables(origin, secret),
    })
  }
  return endpoints
}

async function tokenFileFor(options: AgentOptions): Promise<BackgroundTask | undefined> {
  const { service, identity, clock, events } = options
  const { tokenFile } = options.shapes
  if (tokenFile === undefined) return undefined
  const { file, application, tenant } = tokenFile
  const content =
    application === undefined
      ? { ageMaxMs: ownTokenAgeMaxMs, fetch: () => ownTokenOf(identity) }
      : {
          ageMaxMs: assertionAgeMaxMs,
          fetch: async () => {
            const order = { application, tenant, lifetimeSeconds: assertionLifetimeSeconds }
            return (await service.assertion(order)).value
          },
        }
  return keepTokenFile(file, content, clock, events.refreshFailed)
}

function variablesOfTokenFile({ shapes: { tokenFile }, origin }: AgentOptions) {
  if (tokenFile === undefined) return {}
  const authority = tokenFile.application === undefined ? origin : undefined
  return tokenFileVariables(tokenFile.file, tokenFile, authority)
}
