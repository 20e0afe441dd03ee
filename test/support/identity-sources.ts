import { type World, worldSchema } from '../../src/emulator/world.ts'
import { canHaveArcFolder } from './arc-folder.ts'

/** Whose token of the cluster stands for the managed identity `countersign`. */
export const podSubject = 'system:serviceaccount:countersign:countersign'

/**
 * The same world, whose managed identities of these names have every source that the emulator plays; Azure
 * Arc only where its folder can be.
 */
export const withEverySource = (world: World, names: readonly string[] = ['countersign']): World =>
  worldSchema.parse({
    ...world,
    principals: world.principals.map((principal) =>
      names.includes(principal.name)
        ? {
            ...principal,
            sources: [
              'app-service',
              'imds',
              'cloud-shell',
              'workload-identity',
              ...(canHaveArcFolder ? (['arc'] as const) : []),
            ],
            federatedCredentials: [
              {
                issuer: 'cluster',
                subject: `system:serviceaccount:${principal.name}:${principal.name}`,
              },
            ],
          }
        : principal,
    ),
  })

/** Every source, and whether it can be here: Azure Arc for root alone, whose keys are in one folder of the system. */
export const everySource = [
  { platform: 'App Service', source: 'app-service', isHere: true },
  { platform: 'App Service of the older generation', source: 'app-service-legacy', isHere: true },
  { platform: 'IMDS', source: 'imds', isHere: true },
  { platform: 'Cloud Shell', source: 'cloud-shell', isHere: true },
  { platform: 'a pod with workload identity', source: 'workload-identity', isHere: true },
  { platform: 'Azure Arc, as root', source: 'arc', isHere: canHaveArcFolder },
] as const
