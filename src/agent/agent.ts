import { startBackgroundTask } from '../base/background-task.ts'
import type { Clock } from '../base/clock.ts'
import type { Cloud } from '../base/ids.ts'
import { appService, appServiceVariables } from './app-service.ts'
import type { CountersignService, ServiceError } from './countersign-service.ts'
import { createLocalSecret } from './local-secret.ts'
import { listenOnLoopback } from './loopback-listener.ts'
import { createAnswerResource, type Resource } from './resources.ts'
import { createResourceTokens } from './resource-tokens.ts'

export interface AgentOptions {
  readonly service: CountersignService
  /** Of the service. */
  readonly origin: Cloud
  /** An address of loopback. */
  readonly listen: { readonly host: string; readonly port: number }
  readonly resources: readonly Resource[]
  readonly shapes: { readonly appService?: 'on' }
  readonly clock: Clock
  readonly events: AgentEvents
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

/** @throws Error of the system when the address cannot be bound. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { events } = options
  const tokens = createResourceTokens({ ...options, onRefreshFailed: events.refreshFailed })
  const answerResource = createAnswerResource(options.resources, tokens, events.requestFailed)
  const secret = createLocalSecret()
  const shape = appService(secret, answerResource)
  const listener = await listenOnLoopback(options.listen, [shape], events.failed)
  const refreshing = startBackgroundTask(
    lookForDueMs,
    () => {
      tokens.refresh()
      return Promise.resolve()
    },
    events.failed,
  )
  return {
    origin: listener.origin,
    variables: appServiceVariables(listener.origin + shape.path, secret),
    stop: async (deadlineMs) => {
      await refreshing.stop()
      await listener.stop(deadlineMs)
      await tokens.stop()
    },
  }
}
