import { type World, worldSchema } from '../../src/emulator/world.ts'
import { canHaveArcFolder } from './arc-folder.ts'

/** Who proves itself with the token of a pod of the cluster. */
export const podSubject = 'system:serviceaccount:countersign:countersign'

/**
 * The same world, whose managed identity `countersign` has every source that the emulator plays; Azure Arc
 * only where its folder can be.
 */
export const withEverySource = (world: World): World =>
  worldSchema.parse({
    ...world,
    principals: world.principals.map((principal) =>
      principal.name === 'countersign'
        ? {
            ...principal,
            sources: [
              'app-service',
              'imds',
              'cloud-shell',
              'workload-identity',
              ...(canHaveArcFolder ? (['arc'] as const) : []),
            ],
            federatedCredentials: [{ issuer: 'cluster', subject: podSubject }],
          }
        : principal,
    ),
  })
