import { randomUUID } from 'node:crypto'
import { isoFrom, type EmulatorClock } from '../emulator-clock.ts'
import type { Directory } from '../entra/directory.ts'
import type { NoteChange } from '../entra/entra-routes.ts'
import type { World } from '../world.ts'
import type { CredentialsChange } from './directory-audit.ts'

export interface CredentialsNoteDeps {
  readonly world: World
  readonly directory: Pick<Directory, 'tenantNamed'>
  readonly clock: EmulatorClock
  readonly credentialsChanged: (change: CredentialsChange) => void
}

/** For the directory audits of the tenant where an application is registered; others have none here. */
export function credentialsNote(deps: CredentialsNoteDeps): NoteChange {
  return (name, before, after) => {
    const application = deps.world.applications.find((one) => one.name === name)
    if (application === undefined) return
    const tenant = deps.directory.tenantNamed(application.homeTenant)
    const time = isoFrom(deps.clock.nowSeconds())
    deps.credentialsChanged({ id: randomUUID(), time, tenant, application, before, after })
  }
}
