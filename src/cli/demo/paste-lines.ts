import { cast } from './cloud.ts'
import type { Stage } from './acts.ts'

/** What each user would paste now, with the values of the cloud that is running. */
export function pasteLines({ cloud, configuration }: Stage): string {
  const { endpoints } = cloud
  const identity = endpoints.managedIdentities['fabrikam-orders']
  return `
Running until you press Ctrl-C. In another terminal:

A workload, with curl:
  CALLER_TOKEN=$(curl -s -H 'X-IDENTITY-HEADER: ${identity?.header ?? ''}' \\
    '${identity?.endpoint ?? ''}?api-version=2019-08-01&resource=${cast.publicUrl}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl -s ${configuration.url}/v1/token -H "Authorization: Bearer $CALLER_TOKEN" -H 'Content-Type: application/json' \\
    -d '{"application":"events","tenant":"${cast.fabrikam}","scope":"${cast.ordersScope}"}'

A CI job (this mints it a pipeline token first):
  curl -s -X POST ${endpoints.control.origin}/issuers/github/token -H 'Authorization: Bearer ${endpoints.control.token}' \\
    -d '{"audience":"${cast.publicUrl}","claims":{"repository_owner_id":"9870","repository_id":"123456","ref":"refs/heads/main"}}' \\
    | sed 's/.*"token":"\\([^"]*\\)".*/\\1/' > pipeline-token
  npx countersign assertion --url ${configuration.url} --token-file pipeline-token --application deploy --tenant ${cast.fabrikam}

The security team:
  npx countersign reconcile --ledger ${configuration.ledgerFile} --vault-log ${endpoints.vaultLogFolder} --grace-minutes 0
`
}
