import { join } from 'node:path'
import type { EmulatedService } from '../exchange.ts'
import type { CallerIssuers } from '../issuers/caller-issuers.ts'
import { listenHttp } from '../listener.ts'
import type { IdentitySource, World, WorldPrincipal } from '../world.ts'
import type { AppService } from './app-service.ts'
import { createArc } from './arc.ts'
import { cloudShellPath, createCloudShell } from './cloud-shell.ts'
import { hasSource } from './identity-source.ts'
import { createImds, imdsPath } from './imds.ts'
import type { SourceDeps } from './metadata-answer.ts'
import { startPod } from './pod.ts'

/** What a platform puts into the environment of a program, by name. */
export type SourceEnvironment = Readonly<Record<string, string>>

/** By principal and source; `app-service-legacy` is the older generation of `app-service` alone. */
export type SourceEnvironments = Readonly<
  Record<
    string,
    Readonly<Partial<Record<IdentitySource | 'app-service-legacy', SourceEnvironment>>>
  >
>

export interface IdentitySourcesDeps extends Omit<SourceDeps, 'principal'> {
  readonly world: World
  readonly appService: AppService
  readonly issuers: CallerIssuers
  readonly authorityOrigin: string
  /** Gets the token files of pods. */
  readonly stateFolder: string
  /** Ends what is started here. */
  readonly started: AsyncDisposableStack
}

/** Starts what the seed file gives its managed identities, each with an address of its own. */
export async function startIdentitySources(deps: IdentitySourcesDeps): Promise<SourceEnvironments> {
  const environments = await Promise.all(
    deps.world.principals
      .filter(({ kind }) => kind === 'managed-identity')
      .map(async (principal) => [principal.name, await environmentsOf(principal, deps)] as const),
  )
  return Object.fromEntries(environments)
}

async function environmentsOf(
  principal: WorldPrincipal,
  deps: IdentitySourcesDeps,
): Promise<SourceEnvironments[string]> {
  const sourceDeps = { ...deps, principal }
  const has = (source: IdentitySource) => hasSource(principal, source)
  return {
    ...appServiceEnvironments(deps.appService, principal),
    ...(has('imds') ? { imds: await startImds(sourceDeps) } : {}),
    ...(has('arc') ? { arc: await startArc(sourceDeps) } : {}),
    ...(has('cloud-shell') ? { 'cloud-shell': await startCloudShell(sourceDeps) } : {}),
    ...(has('workload-identity')
      ? { 'workload-identity': await startWorkloadIdentity(sourceDeps) }
      : {}),
  }
}

function appServiceEnvironments({ identities }: AppService, { name }: WorldPrincipal) {
  const identity = identities[name]
  if (identity === undefined) return {}
  const { endpoint, header } = identity
  return {
    'app-service': { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header },
    'app-service-legacy': { MSI_ENDPOINT: endpoint, MSI_SECRET: header },
  }
}

type StartDeps = IdentitySourcesDeps & SourceDeps

async function served(service: EmulatedService, { started }: StartDeps): Promise<string> {
  const listener = started.adopt(await listenHttp(), (part) => part.close())
  listener.serve(service)
  return listener.origin
}

const startImds = async (deps: StartDeps) => ({
  AZURE_POD_IDENTITY_AUTHORITY_HOST: await served(createImds(deps), deps),
})

async function startArc(deps: StartDeps): Promise<SourceEnvironment> {
  const arc = deps.started.adopt(await createArc(deps.world.arcKeyFolder, deps), (part) =>
    part.close(),
  )
  const origin = await served(arc.service, deps)
  return { IDENTITY_ENDPOINT: `${origin}${imdsPath}`, IMDS_ENDPOINT: origin }
}

const startCloudShell = async (deps: StartDeps) => ({
  MSI_ENDPOINT: `${await served(createCloudShell(deps), deps)}${cloudShellPath}`,
})

async function startWorkloadIdentity(deps: StartDeps): Promise<SourceEnvironment> {
  const { principal, world, issuers, clock, stateFolder, authorityOrigin, started } = deps
  const [credential] = principal.federatedCredentials
  const issuer = issuers.find(credential?.issuer ?? '')
  const tenant = world.tenants.find(({ name }) => name === principal.tenant)
  if (credential === undefined || issuer === undefined || tenant === undefined) {
    throw new Error(`principal ${principal.name}: the seed file has no such issuer or tenant`)
  }
  const folder = join(stateFolder, `pod-${principal.name}`)
  const pod = started.adopt(await startPod(folder, issuer, credential, clock), (part) => {
    part.close()
  })
  return {
    AZURE_AUTHORITY_HOST: authorityOrigin,
    AZURE_TENANT_ID: tenant.id,
    AZURE_CLIENT_ID: principal.clientId,
    AZURE_FEDERATED_TOKEN_FILE: pod.tokenFile,
  }
}
