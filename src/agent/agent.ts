import { startBackgroundTask } from '../base/background-task.ts'
import type { Clock } from '../base/clock.ts'
import { settlesWithin } from '../base/deadline.ts'
import type { ApplicationName, ClientId, Cloud, TenantId } from '../base/ids.ts'
import { appService, appServiceVariables } from './app-service.ts'
import { arc, arcVariables, type KeyFolder } from './arc.ts'
import { ciShapes, ciVariables } from './ci.ts'
import type { AssertionOrder, CountersignService, ServiceError } from './countersign-service.ts'
import { imds, imdsVariables } from './imds.ts'
import { createLocalSecret } from './local-secret.ts'
import { cloudShellVariables, oauth2Token } from './oauth2-token.ts'
import { type ListenPlace, listenToPrograms } from './program-listener.ts'
import { type AnswerResource, createAnswerResource, type Resource } from './resources.ts'
import { createResourceTokens } from './resource-tokens.ts'
import type { Shape } from './shape.ts'
import {
  assertionAgeMaxMs,
  assertionLifetimeSeconds,
  keepTokenFile,
  ownTokenAgeMaxMs,
  type TokenFile,
  tokenFileVariables,
} from './token-file.ts'
import { ownTokenOf, type WorkloadIdentity } from './workload-identity.ts'

export interface AgentOptions {
  readonly service: CountersignService
  readonly identity: WorkloadIdentity
  /** Of the service. */
  readonly origin: Cloud
  readonly listen: ListenPlace
  readonly resources: readonly Resource[]
  readonly shapes: AgentShapes
  readonly clock: Clock
  readonly events: AgentEvents
}

/** Which endpoints there are; absent: it is not there. */
export interface AgentShapes {
  readonly appService?: 'on'
  readonly imds?: 'on'
  readonly arc?: KeyFolder
  readonly cloudShell?: 'on'
  /** Its clients ask the port that it had, and no other. */
  readonly vmExtension?: 'on'
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
  /** The token file is not there yet, and is tried again. */
  readonly tokenFileAwaited: (error: unknown) => void
  /** A mistake of ours. */
  readonly failed: (error: unknown) => void
}

/** A sidecar that answers programs of this machine, as Azure's own endpoints would. */
export interface Agent {
  /** `http://127.0.0.1:41234`; `unix:` and a path. */
  readonly origin: string
  /** What programs must find in their environment; some of it is secret. */
  readonly variables: Readonly<Record<string, string>>
  /**
   * Resolves once programs find all that the variables name; waits a minute for what may yet come.
   * Rejects with an Error when it does not come.
   */
  readonly ready: Promise<void>
  /**
   * Takes no new request, and removes its files; resolves when what was asked has been answered, or after
   * `deadlineMs`. What goes wrong with it is told as an event.
   */
  stop(deadlineMs: number): Promise<void>
}

const lookForDueMs = 1000

/** @throws Error of the system when the address or the socket cannot be bound, or a folder cannot be used. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { events } = options
  const tokens = createResourceTokens({ ...options, onRefreshFailed: events.refreshFailed })
  const answerResource = createAnswerResource(options.resources, tokens, events.requestFailed)
  const endpoints = endpointsFor(options, answerResource)
  for (const { begin } of endpoints) await begin?.()
  const listener = await listenToPrograms(
    options.listen,
    endpoints.flatMap(({ shapes }) => shapes),
    events.failed,
  )
  const tokenFile = tokenFileFor(options)
  const looking = startBackgroundTask(
    lookForDueMs,
    async () => {
      tokens.refresh()
      for (const { look } of endpoints) await look?.()
    },
    events.failed,
  )
  const { origin } = listener
  return {
    origin,
    variables: { ...variablesOf(endpoints, origin, options), ...variablesOfTokenFile(options) },
    ready: tokenFile?.filled ?? Promise.resolve(),
    stop: async (deadlineMs) => {
      const ends = [
        looking.stop(),
        listener.stop(deadlineMs),
        settlesWithin(tokens.stop(), deadlineMs),
        tokenFile?.stop() ?? Promise.resolve(),
      ]
      // Keys go last: what is asked meanwhile may bring another one.
      const outcomes = [
        ...(await Promise.allSettled(ends)),
        ...(await Promise.allSettled(
          endpoints.flatMap(({ end }) => (end === undefined ? [] : [end()])),
        )),
      ]
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') events.failed(outcome.reason)
      }
    },
  }
}

interface Endpoint {
  readonly shapes: readonly Shape[]
  readonly variables: (origin: string) => Readonly<Record<string, string>>
  /** What programs must know that name the socket by themselves; absent: that is enough. */
  readonly secretVariables?: Readonly<Record<string, string>>
  readonly begin?: () => Promise<void>
  /** Every second. */
  readonly look?: () => Promise<void>
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
    const secretVariables = { IDENTITY_HEADER: secret.value.reveal() }
    endpoints.push({ shapes: [shape], variables, secretVariables })
  }
  if (shapes.imds !== undefined) {
    endpoints.push({ shapes: [imds(answerResource, clock)], variables: imdsVariables })
  }
  if (shapes.arc !== undefined) {
    const shape = arc(shapes.arc, answerResource, clock)
    const variables = (origin: string) => arcVariables(origin + shape.path)
    const [begin, look, end] = [() => shape.begin(), () => shape.look(), () => shape.end()]
    endpoints.push({ shapes: [shape], variables, begin, look, end })
  }
  const { cloudShell, vmExtension } = shapes
  if (cloudShell !== undefined || vmExtension !== undefined) {
    // What the extension's clients send in a form is Cloud Shell's request, and so is the answer.
    const methods = vmExtension === undefined ? (['POST'] as const) : (['GET', 'POST'] as const)
    const shape = oauth2Token(methods, answerResource, clock)
    const variables = (origin: string) =>
      cloudShell === undefined ? {} : cloudShellVariables(origin + shape.path)
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

/**
 * No URL can name a socket: what has one in its environment would send the secret to whoever listens on the
 * port that the URL names.
 */
function variablesOf(
  endpoints: readonly Endpoint[],
  origin: string,
  { listen }: Pick<AgentOptions, 'listen'>,
): Readonly<Record<string, string>> {
  const found =
    'socket' in listen
      ? [
          { COUNTERSIGN_AGENT_SOCKET: listen.socket },
          ...endpoints.map(({ secretVariables = {} }) => secretVariables),
        ]
      : endpoints.map(({ variables }) => variables(origin))
  return Object.fromEntries(found.flatMap((variables) => Object.entries(variables)))
}

function tokenFileFor(options: AgentOptions): TokenFile | undefined {
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
  return keepTokenFile(file, content, clock, {
    onAwaited: events.tokenFileAwaited,
    onRefreshFailed: events.refreshFailed,
  })
}

function variablesOfTokenFile({ shapes: { tokenFile }, origin }: AgentOptions) {
  if (tokenFile === undefined) return {}
  const authority = tokenFile.application === undefined ? origin : undefined
  return tokenFileVariables(tokenFile.file, tokenFile, authority)
}
