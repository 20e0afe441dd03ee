import { existsSync } from 'node:fs'
import type { Pool } from 'undici'
import { type Agent, type AgentEvents, startAgent } from '../agent/agent.ts'
import { type ArcPlace, arcPlace } from '../agent/arc.ts'
import { connectionsTo, createHttpService } from '../agent/http-service.ts'
import { managedIdentity } from '../agent/managed-identity.ts'
import { ownTokenFile } from '../agent/own-token-file.ts'
import { createPatientService } from '../agent/patient-service.ts'
import type { RequestUrl } from '../agent/job-token-request.ts'
import { azurePipelinesIdentity, gitHubActionsIdentity } from '../agent/request-url-identity.ts'
import { byCertificate, type WorkloadIdentity } from '../agent/workload-identity.ts'
import type { Clock } from '../base/clock.ts'
import { parseCloud } from '../base/ids.ts'
import type { AgentConfig } from '../config/agent/agent-config.ts'
import type { CallerEnvironment } from '../config/environment.ts'
import { CommandError } from './command-error.ts'

/**
 * The agent of an `agent.yaml`, running.
 *
 * @throws CommandError when the environment lacks what the file counts on; Error of the system when the
 *   address cannot be bound.
 */
export async function agentFrom(
  config: AgentConfig,
  environment: CallerEnvironment,
  clock: Clock,
  events: AgentEvents,
  place: ArcPlace = arcPlace,
): Promise<Agent> {
  const { listen, resources } = config
  const { arc, ...others } = config.shapes
  if (arc !== undefined && existsSync(place.himds)) {
    throw new CommandError(
      "shapes.arc is Azure Arc's own endpoint to programs, and Azure's agent is on this machine: use another shape",
    )
  }
  const shapes = {
    ...others,
    ...(arc === undefined
      ? {}
      : { arc: { keyFolder: place.keyFolder, readableBy: arc.readableBy } }),
  }
  const origin = parseCloud(config.service.origin)
  if (origin === undefined) throw new TypeError('the configuration holds an origin')
  const { identity: kind } = config
  const connections = connectionsTo(origin, kind.kind === 'certificate' ? kind : undefined)
  const platforms: Pool[] = []
  const end = async () => {
    await Promise.all([connections, ...platforms].map((pool) => pool.destroy()))
  }
  try {
    const identity = await identityFrom(config, environment, (url) => {
      const pool = connectionsTo(new URL(url).origin)
      platforms.push(pool)
      return pool
    })
    const service = createPatientService(createHttpService(origin, identity, connections), clock)
    const agent = await startAgent({
      service,
      identity,
      origin,
      listen,
      resources,
      shapes,
      clock,
      events,
    })
    return {
      ...agent,
      stop: async (deadlineMs) => {
        await agent.stop(deadlineMs)
        await end()
      },
    }
  } catch (error) {
    await end()
    throw error
  }
}

export async function identityFrom(
  { identity, service }: Pick<AgentConfig, 'identity' | 'service'>,
  environment: CallerEnvironment,
  connect: (url: string) => Pool,
): Promise<WorkloadIdentity> {
  switch (identity.kind) {
    case 'token-file':
      return ownTokenFile(identity.file)
    case 'certificate':
      return byCertificate
    case 'managed-identity':
      return managedIdentity(service.audience, identity.clientId)
    case 'github-actions': {
      const fetched = requestUrlOf(
        environment.githubActions,
        'ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN are not set: give the job "permissions: id-token: write"',
      )
      return gitHubActionsIdentity(fetched, service.audience, connect(fetched.requestUrl))
    }
    case 'azure-pipelines': {
      const fetched = requestUrlOf(
        environment.azurePipelines,
        'SYSTEM_OIDCREQUESTURI and SYSTEM_ACCESSTOKEN are not set: map "SYSTEM_ACCESSTOKEN: $(System.AccessToken)" in the step',
      )
      return azurePipelinesIdentity(
        fetched,
        identity.serviceConnection,
        connect(fetched.requestUrl),
      )
    }
  }
}

function requestUrlOf(found: RequestUrl | undefined, absence: string): RequestUrl {
  if (found === undefined) throw new CommandError(absence)
  if (!URL.canParse(found.requestUrl)) throw new CommandError("the platform's request URL is none")
  return found
}
