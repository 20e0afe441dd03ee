import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { configForm } from '../../../src/config/config-form.ts'
import { required } from '../required.ts'
import {
  applicationNames,
  clientIds,
  grantFilesFor,
  headKeyName,
  minRemainingSeconds,
  type Place,
  publicUrl,
  wrappingKeyName,
} from './cast.ts'
import type { Cloud } from './cloud.ts'
import type { LedgerHome } from './ledger-home.ts'
import type { Program, Variables, Workshop } from './workshop.ts'

/**
 * Writes `countersign.yaml` and its grants, for all the processes that serve from them, and returns its path.
 *
 * @param anchor File that keeps heads for all of them.
 */
export function configure(
  workshop: Workshop,
  cloud: Cloud,
  places: readonly Place[],
  ledger: LedgerHome,
  anchor: string,
): string {
  const file = join(workshop.folder, 'countersign.yaml')
  const grants = join(workshop.folder, 'grants')
  mkdirSync(grants)
  writeFileSync(file, stringify(configurationFor(cloud, places, ledger, anchor)))
  for (const grant of grantFilesFor(places)) {
    writeFileSync(join(grants, `${grant.grant}.yaml`), stringify(grant))
  }
  return file
}

type ConfigurationFile = z.input<typeof configForm>

function configurationFor(
  cloud: Cloud,
  places: readonly Place[],
  ledger: LedgerHome,
  anchor: string,
): ConfigurationFile {
  const { endpoints } = cloud
  const vault = required(endpoints.vaults['contoso-hsm'])
  return {
    publicUrl,
    listen: { host: '127.0.0.1', port: 0 },
    cloud: { authority: endpoints.authority, vaultSuffix: '127.0.0.1' },
    credential: 'managed-identity',
    trust: { caFiles: [endpoints.caFile] },
    certificates: Object.fromEntries(
      applicationNames.map((name) => [name, { vault, name: `${name}-signing` }]),
    ),
    applications: Object.fromEntries(
      applicationNames.map((name) => [
        name,
        {
          clientId: clientIds[name],
          certificate: name,
          tenants: places.map(({ tenantId }) => tenantId),
          handOut: name === 'deploy',
        },
      ]),
    ),
    issuers: Object.fromEntries(places.flatMap((place) => issuersAt(place, cloud))),
    ledger: ledger.section,
    // So short that a life of the service sees both: a signature that is used again, and the next one.
    tokenCache: {
      minRemainingSeconds,
      assertionReuseSeconds: 1,
      ...('postgres' in ledger.section ? { wrappingKey: { vault, name: wrappingKeyName } } : {}),
    },
    heads: {
      key: { vault, name: headKeyName },
      everySeconds: 10,
      everyEntries: 100,
      anchors: [{ file: anchor }],
    },
    // Clients are there to meet faults, and not to wait for a budget.
    governor: { headroom: 1000 },
  }
}

type NamedIssuer = readonly [name: string, issuer: ConfigurationFile['issuers'][string]]

/** Entra once for each tenant, so that each asks for Entra's keys by itself. */
const issuersAt = ({ name, tenantId, ci }: Place, { endpoints }: Cloud): readonly NamedIssuer[] => [
  [name, { kind: 'entra', tenants: [tenantId] }],
  [ci, { kind: 'github', issuer: required(endpoints.issuers[ci]) }],
]

/** `countersign serve`, from its start on. */
export interface Service {
  readonly program: Program
  /** Where it listens; clients may ask from then on. Undefined when it ends before. */
  readonly origin: Promise<string | undefined>
  /** Whether it has proven its certificates, or has ended before. */
  readonly ready: Promise<boolean>
}

export function startService(
  workshop: Workshop,
  cloud: Cloud,
  configurationFile: string,
  variables: Variables = {},
): Service {
  const { endpoint, header } = required(cloud.endpoints.managedIdentities['countersign'])
  const program = workshop.start(['serve', '--config', configurationFile], {
    ...variables,
    IDENTITY_ENDPOINT: endpoint,
    IDENTITY_HEADER: header,
  })
  return {
    program,
    origin: program.firstLine(says('listening')).then(originIn),
    ready: program.firstLine(says('ready')).then((line) => line !== undefined),
  }
}

const says = (message: string) => (line: string) => line.includes(`"msg":"${message}"`)

const originIn = (line: string | undefined) =>
  line === undefined ? undefined : (JSON.parse(line) as { readonly origin: string }).origin
