import { z } from 'zod'
import {
  clientIdForm,
  entriesOf,
  flag,
  listOf,
  nameOf,
  namedMapOf,
  oneOf,
  tenantIdForm,
  text,
} from '../yaml/forms.ts'
import {
  parseApplicationName,
  parseCertificateName,
  parseClientId,
  type ClientId,
  type TenantId,
} from '../base/ids.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { ApplicationConfig } from './config.ts'

export const applicationForm = z.strictObject({
  clientId: clientIdForm.describe('Client id of the app registration.'),
  certificate: nameOf('a certificate', parseCertificateName).describe(
    'Which of the certificates authenticates it.',
  ),
  profile: oneOf(['entra', 'entra-legacy'])
    .default('entra')
    .describe('entra: PS256 and x5t#S256. entra-legacy: RS256 and x5t.'),
  x5c: flag()
    .default(false)
    .describe('Sends the certificate along, for tenants that trust its issuer and subject.'),
  tenants: listOf(tenantIdForm, 'a list of tenant GUIDs')
    .optional()
    .describe('Closed list of tenants: no other is ever contacted.'),
  tenantsFile: text('the path of a file with one tenant GUID a line')
    .optional()
    .describe('Instead of tenants, for very many: one GUID a line, # begins a comment.'),
  handOut: flag()
    .default(false)
    .describe('Lets assertions leave the service. Whoever holds one is the application.'),
})

export const applicationsForm = namedMapOf(
  parseApplicationName,
  applicationForm,
  'a map with at least one application',
).describe('App registrations that the service acts as, each under a name of your choice.')

export type ApplicationsForm = z.output<typeof applicationsForm>

/** By application, what its `tenantsFile` says; those without such a file are absent. */
export type TenantsFromFiles = ReadonlyMap<string, readonly TenantId[]>

/** @param certificates Names in the file, sound or not: a broken entry is a problem of its own. */
export function checkApplications(part: YamlPart, certificates: ReadonlySet<string>): void {
  const owners = new Map<ClientId, string>()
  for (const [name, application] of part.maps()) {
    const { certificate, clientId } = application.seen(applicationForm)
    if (parseClientId(name) !== undefined) {
      application.report(
        'name-is-a-client-id',
        `\`${application.name}\` is named as a client id looks, and might be taken for another application: give it a name of its own.`,
      )
    }
    if (certificate !== undefined && !certificates.has(certificate)) {
      application
        .at('certificate')
        .report(
          'unknown-certificate',
          `\`${application.name}.certificate\` names ${certificate}, which is not under \`certificates\`: add it there, or name another.`,
        )
    }
    if (clientId !== undefined) checkOwner(application.at('clientId'), owners, name, clientId)
    checkTenants(application)
  }
}

export function applicationsFrom(
  applications: ApplicationsForm,
  fromFiles: TenantsFromFiles,
): readonly ApplicationConfig[] {
  return entriesOf(applications).map(([name, { tenants, tenantsFile: _, ...application }]) => ({
    name,
    ...application,
    tenants: [...new Set(tenants ?? fromFiles.get(name))].toSorted(),
  }))
}

/** Two names for one client id could contradict one another about what it may do. */
function checkOwner(
  part: YamlPart,
  owners: Map<ClientId, string>,
  name: string,
  clientId: ClientId,
): void {
  const owner = owners.get(clientId)
  owners.set(clientId, owner ?? name)
  if (owner === undefined) return
  part.report(
    'same-client-id',
    `\`${part.name}\` is the clientId of ${owner} already: make them one application.`,
  )
}

function checkTenants(application: YamlPart): void {
  const [listed, file] = [application.at('tenants').value, application.at('tenantsFile').value]
  if ((listed === undefined) !== (file === undefined)) return
  application.report(
    'tenants',
    `\`${application.name}\` must have either \`tenants\` or \`tenantsFile\`: ${
      listed === undefined ? 'add one of them' : 'remove one of them'
    }.`,
  )
}
