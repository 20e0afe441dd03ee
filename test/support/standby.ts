import { hash } from 'node:crypto'
import type { World } from '../../src/emulator/world.ts'
import type { TestEmulator } from './emulator.ts'
import { required } from './required.ts'
import { type ConfigurationFile, serviceWorld } from './test-service.ts'

/** A second vault with a certificate for `events`, registered on it like the first one. */
export function worldWithStandby(
  world: World = serviceWorld,
  certificate: Partial<World['vaults'][number]['certificates'][number]> = {},
): World {
  const vault = required(world.vaults[0])
  const model = required(vault.certificates[0])
  return {
    ...world,
    vaults: [
      ...world.vaults,
      {
        ...vault,
        name: 'contoso-standby',
        certificates: [
          { ...model, name: 'partner-standby', subject: 'CN=partner-standby', ...certificate },
        ],
        roleAssignments: vault.roleAssignments.filter(
          ({ principal }) => principal === 'countersign',
        ),
      },
    ],
    applications: world.applications.map((application) =>
      application.name === 'events'
        ? {
            ...application,
            certificates: [...application.certificates, 'contoso-standby/partner-standby'],
          }
        : application,
    ),
  }
}

/** `partners` has the other vault's certificate to stand by for it. */
export const withStandby =
  ({ endpoints }: TestEmulator) =>
  (file: ConfigurationFile): ConfigurationFile => ({
    ...file,
    certificates: {
      ...file.certificates,
      partners: {
        ...required(file.certificates['partners']),
        standby: { vault: required(endpoints.vaults['contoso-standby']), name: 'partner-standby' },
      },
    },
  })

/** SHA-256 of a certificate's current version, base64url: what `x5t#S256` names it by. */
export function thumbprintOf(emulator: TestEmulator, name: string): string {
  const versions = emulator.vaults.flatMap(({ store }) => store.find(name)?.versions ?? [])
  return hash('sha256', required(versions.at(-1)).der, 'base64url')
}
