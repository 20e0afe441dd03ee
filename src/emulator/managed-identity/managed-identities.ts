import { listenHttp } from '../listener.ts'
import { createAppService, type AppService } from './app-service.ts'
import {
  startIdentitySources,
  type IdentitySourcesDeps,
  type SourceEnvironments,
} from './identity-sources.ts'

/** What programs find that run as a managed identity. */
export interface ManagedIdentities {
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of each managed identity, by principal. */
  readonly managedIdentities: AppService['identities']
  /** What the environment of a program is, by principal and by where it runs. */
  readonly environments: SourceEnvironments
}

/** Starts App Service, which all of them share, and then what each has of its own. */
export async function startManagedIdentities(
  deps: Omit<IdentitySourcesDeps, 'appService'>,
): Promise<ManagedIdentities> {
  const listener = deps.started.adopt(await listenHttp(), (part) => part.close())
  const { origin } = listener
  const { principals } = deps.world
  const appService = createAppService({ ...deps, origin, principals })
  listener.serve(appService.service)
  const environments = await startIdentitySources({ ...deps, appService })
  return { managedIdentities: appService.identities, environments }
}
