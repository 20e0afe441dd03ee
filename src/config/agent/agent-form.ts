import { isIP } from 'node:net'
import { z } from 'zod'
import {
  clientIdForm,
  guidPattern,
  nameOf,
  oneOf,
  parsed,
  scopeForm,
  tenantIdForm,
  text,
  wholeNumber,
} from '../../yaml/forms.ts'
import { parseApplicationName, parseClientId, parseScope, type Scope } from '../../base/ids.ts'
import { isLoopback } from '../../base/loopback.ts'

export const serviceForm = z
  .strictObject({
    url: parsed(
      'the origin of the service, such as https://countersign.contoso.example, with nothing behind it (http on loopback alone)',
      parseServiceOrigin,
      '^https?://',
    ).describe('Origin of the service.'),
    caFile: text('the path of a PEM file')
      .exactOptional()
      .describe("PEM file with roots that count besides the system's own."),
    audience: text('the audience of the service')
      .exactOptional()
      .describe("What the platform is asked for; absent: the service's URL."),
  })
  .describe('Whom the agent asks.')

export const identityForm = z
  .discriminatedUnion(
    'kind',
    [
      z.strictObject({
        kind: z.literal('token-file'),
        file: text('the path of a file').describe(
          "A file with the workload's own token, read at each use.",
        ),
      }),
      z.strictObject({ kind: z.literal('github-actions') }),
      z.strictObject({
        kind: z.literal('azure-pipelines'),
        serviceConnection: parsed(
          'the GUID of a service connection',
          parseClientId,
          guidPattern,
        ).describe('GUID of the service connection whose token the job shows.'),
      }),
      z.strictObject({
        kind: z.literal('certificate'),
        certFile: text('the path of a PEM file').describe(
          "PEM file with the workload's certificate and the CAs between, read at each connection.",
        ),
        keyFile: text('the path of a PEM file').describe('PEM file with its key.'),
      }),
      z.strictObject({
        kind: z.literal('managed-identity'),
        clientId: clientIdForm
          .exactOptional()
          .describe('Client id of a user-assigned identity; absent: the system-assigned one.'),
      }),
    ],
    { error: 'a map with `kind`, which says how the platform proves the workload' },
  )
  .describe('How the agent proves for whom it asks.')

const listenForm = z
  .strictObject({
    host: parsed(
      'an address of loopback, such as 127.0.0.1',
      parseLoopbackAddress,
      '^(127\\.[0-9.]+|::1)$',
    )
      .default('127.0.0.1')
      .describe('Address of loopback to bind.'),
    port: wholeNumber(0, 65_535).default(0).describe('0 takes any free port.'),
    socket: text('the path of a Unix socket')
      .exactOptional()
      .describe(
        'A Unix socket instead, for programs that name one by themselves, such as curl. Its folder must be closed to others.',
      ),
    openTo: oneOf(['owner', 'group'])
      .default('owner')
      .describe("Who may open the socket: the agent's own user, or the group of its folder too."),
  })
  .prefault({})
  .describe('Where programs reach the agent.')

export const resourceForm = z.strictObject({
  application: nameOf('an application', parseApplicationName).describe(
    'Name of the application at the service.',
  ),
  tenant: tenantIdForm.describe('In which tenant.'),
  scope: scopeForm
    .exactOptional()
    .describe('What the service is asked for; absent: the resource and /.default.'),
  clientId: clientIdForm
    .exactOptional()
    .describe('What programs may name as the identity they want; absent: they may name none.'),
})

/** Programs write a resource with and without slashes at its end: it is looked up as a scope is. */
export const parseResource = (written: string): Scope | undefined =>
  parseScope(`${written}/.default`)

const ofApplication = nameOf('an application', parseApplicationName)

export const shapesForm = z
  .strictObject({
    appService: z
      .strictObject({})
      .exactOptional()
      .describe('App Service: IDENTITY_ENDPOINT and IDENTITY_HEADER, MSI_ENDPOINT and MSI_SECRET.'),
    imds: z
      .strictObject({})
      .exactOptional()
      .describe('A virtual machine: AZURE_POD_IDENTITY_AUTHORITY_HOST. No secret.'),
    arc: z
      .strictObject({
        readableBy: oneOf(['owner', 'group'])
          .default('owner')
          .describe(
            "Who may read keys: the agent's own user, or the group of the folder that they are in too.",
          ),
      })
      .exactOptional()
      .describe('Azure Arc: IDENTITY_ENDPOINT and IMDS_ENDPOINT, and a key file for each request.'),
    cloudShell: z
      .strictObject({})
      .exactOptional()
      .describe('Cloud Shell: MSI_ENDPOINT alone. No secret.'),
    vmExtension: z
      .strictObject({})
      .exactOptional()
      .describe(
        'The virtual machine extension that was retired: port 50342 of loopback. No secret.',
      ),
    requestUrl: z
      .strictObject({
        application: ofApplication.describe('Whose assertions: one with handOut.'),
        tenant: tenantIdForm.describe('For which tenant.'),
      })
      .exactOptional()
      .describe('GitHub Actions and Azure Pipelines: their request URLs, for assertions.'),
    tokenFile: z
      .strictObject({
        file: text('the path of a file').describe('AZURE_FEDERATED_TOKEN_FILE: kept fresh.'),
        tenant: tenantIdForm.describe('AZURE_TENANT_ID.'),
        clientId: clientIdForm.describe('AZURE_CLIENT_ID.'),
        application: ofApplication
          .exactOptional()
          .describe(
            "Whose assertions are in the file, one with handOut; absent: the workload's own token, and the service is the authority.",
          ),
      })
      .exactOptional()
      .describe('Workload identity: a file with a token.'),
  })
  .describe('The endpoints that programs know.')

/** `agent.yaml` as whoever runs the workload may write it: the source of its JSON Schema. */
export const agentForm = z.strictObject({
  service: serviceForm,
  identity: identityForm,
  listen: listenForm,
  resources: z
    .record(
      parsed('a resource, such as https://vault.azure.net', parseResource, '^[!-~]+$'),
      resourceForm,
      { error: 'a map of resources' },
    )
    .default({})
    .describe('What programs get, by the resource that they ask for a token of.'),
  shapes: shapesForm,
  anyLocalProcess: z
    .literal('accept', {
      error: 'accept, or absent: then shapes without a secret are refused',
    })
    .exactOptional()
    .describe('accept: whatever runs on this machine, or in this namespace, may have the tokens.'),
  environmentFile: text('the path of a file')
    .exactOptional()
    .describe('Written at the start, for its owner alone: the variables that programs need.'),
})

export type AgentForm = z.output<typeof agentForm>

function parseServiceOrigin(written: string): string | undefined {
  const url = URL.parse(written)
  if (url === null || url.origin !== written) return undefined
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
    ? written
    : undefined
}

function parseLoopbackAddress(written: string): string | undefined {
  return isIP(written) !== 0 && isLoopback(written) ? written : undefined
}
