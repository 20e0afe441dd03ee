import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { EmulatorEndpoints } from '../../emulator/emulator.ts'
import { cast } from './cloud.ts'

/** Where the demo's configuration is, and where its service will be. */
export interface DemoConfiguration {
  readonly file: string
  readonly ledgerFile: string
  readonly url: string
}

/** Writes `countersign.yaml` and its grants, as an operator would for this cloud. */
export async function writeConfiguration(
  folder: string,
  endpoints: EmulatorEndpoints,
): Promise<DemoConfiguration> {
  const port = await freePort()
  const file = join(folder, 'countersign.yaml')
  mkdirSync(join(folder, 'grants'), { recursive: true })
  writeFileSync(file, configurationText(endpoints, port))
  writeFileSync(join(folder, 'grants', 'orders.yaml'), ordersGrant)
  writeFileSync(join(folder, 'grants', 'deploy.yaml'), deployGrant)
  return { file, ledgerFile: join(folder, 'countersign.db'), url: `http://127.0.0.1:${port}` }
}

const configurationText = (endpoints: EmulatorEndpoints, port: number) => `\
publicUrl: ${cast.publicUrl}
listen: { host: 127.0.0.1, port: ${port} }
cloud: { authority: "${endpoints.authority}", vaultSuffix: "127.0.0.1" }
credential: managed-identity
trust: { caFiles: ["${endpoints.caFile}"] }
certificates:
  partners: { vault: "${endpoints.vaults['contoso-hsm'] ?? ''}", name: partner-signing }
  deploy: { vault: "${endpoints.vaults['contoso-hsm'] ?? ''}", name: deploy-signing }
applications:
  events:
    clientId: ${cast.eventsClientId}
    certificate: partners
    profile: entra
    tenants: [${cast.fabrikam}, ${cast.northwind}]
  deploy:
    clientId: ${cast.deployClientId}
    certificate: deploy
    profile: entra
    tenants: [${cast.fabrikam}]
    handOut: true
issuers:
  fabrikam: { kind: entra, tenants: [${cast.fabrikam}] }
  github: { kind: github, issuer: "${endpoints.issuers['github'] ?? ''}", require: { repository_owner_id: "9870" } }
grants: ./grants
ledger: { sqlite: ./countersign.db }
`

/** The workload is named by ids that nobody can register again. */
const ordersGrant = `\
grant: fabrikam-orders
caller: { issuer: fabrikam, claims: { tid: ${cast.fabrikam}, oid: 51000000-0000-4000-8000-000000000004 } }
may:
  - { application: events, tenant: ${cast.fabrikam}, scopes: [${cast.ordersScope}] }
`

const deployGrant = `\
grant: deploy-pipeline
caller: { issuer: github, claims: { repository_id: "123456", ref: refs/heads/main } }
may:
  - { application: deploy, tenant: ${cast.fabrikam}, assertion: { lifetimeSeconds: 300 } }
`

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new TypeError('no port'))
        else resolve(address.port)
      })
    })
  })
}
