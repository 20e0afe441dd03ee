import { cast } from './cloud.ts'
import type { Stage } from './acts.ts'

/** What each user would paste now, with the values of the cloud that is running. */
export function pasteLines({ cloud, configuration }: Stage): string {
  const { endpoints } = cloud
  const identity = endpoints.managedIdentities['fabrikam-orders']
  const member = (name: string) => `sed 's/.*"${name}":"\\([^"]*\\)".*/\\1/'`
  return `
Running until you press Ctrl-C. In another terminal, in this folder:

A workload, with curl:
  CALLER_TOKEN=$(curl -s -H 'X-IDENTITY-HEADER: ${identity?.header ?? ''}' \\
    '${identity?.endpoint ?? ''}?api-version=2019-08-01&resource=${cast.publicUrl}' | ${member('access_token')})
  curl -s ${configuration.url}/v1/token -H "Authorization: Bearer $CALLER_TOKEN" -H 'Content-Type: application/json' \\
    -d '{"application":"events","tenant":"${cast.fabrikam}","scope":"${cast.ordersScope}"}'

A CI job, with an Azure SDK (the first command mints its pipeline token):
  export COUNTERSIGN_URL=${configuration.url}
  export COUNTERSIGN_TOKEN=$(curl -s -X POST ${endpoints.control.origin}/issuers/github/token -H 'Authorization: Bearer ${endpoints.control.token}' \\
    -d '{"audience":"${cast.publicUrl}","claims":{"repository_owner_id":"9870","repository_id":"123456","ref":"refs/heads/main"}}' | ${member('token')})
  export CLIENT_ASSERTION=$(npx countersign assertion --application deploy --tenant ${cast.fabrikam})
  AZURE_TENANT_ID=${cast.fabrikam} AZURE_CLIENT_ID=${cast.deployClientId} SCOPE=${cast.eventHubsScope} \\
    AZURE_AUTHORITY_HOST=${endpoints.authority} NODE_EXTRA_CA_CERTS=${endpoints.caFile} node examples/azure-sdk/exchange-assertion.mjs

The security team:
  npx countersign reconcile --ledger ${configuration.ledgerFile} --vault-log ${endpoints.vaultLogFolder} --grace-minutes 0
`
}
