// Stands for the Azure CLI, which is not on this machine: does with MSAL for Node what its `login` does with MSAL for
// Python. It takes the options of `az login` that it knows and no others, presents the federated token as client
// assertion for Azure Resource Manager, lists the subscriptions, and presents the same one again for a vault, because
// the CLI keeps it. AZURE_AUTHORITY_HOST and RESOURCE_MANAGER are what `az cloud register` would have been told.
import { parseArgs } from 'node:util'
import { ConfidentialClientApplication } from '@azure/msal-node'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'service-principal': { type: 'boolean' },
    username: { type: 'string', short: 'u' },
    tenant: { type: 'string', short: 't' },
    'federated-token': { type: 'string' },
  },
})
if (positionals.join(' ') !== 'login' || values['service-principal'] !== true) {
  throw new Error('only: az login --service-principal')
}
const { username = '', tenant = '', 'federated-token': clientAssertion = '' } = values
const { AZURE_AUTHORITY_HOST: authority = '', RESOURCE_MANAGER = '' } = process.env

const client = new ConfidentialClientApplication({
  auth: {
    clientId: username,
    authority: `${authority}/${tenant}`,
    knownAuthorities: [new URL(authority).host],
    clientAssertion,
  },
})
const tokenFor = async (scope: string) => {
  const answer = await client.acquireTokenByClientCredential({ scopes: [scope] })
  return answer?.accessToken ?? ''
}

// Two slashes, because Azure Resource Manager's own URI ends in one.
const token = await tokenFor('https://management.core.windows.net//.default')
const response = await fetch(`${RESOURCE_MANAGER}/subscriptions?api-version=2022-12-01`, {
  headers: { authorization: `Bearer ${token}` },
})
const { value } = (await response.json()) as {
  readonly value: readonly { subscriptionId: string; tenantId: string; displayName: string }[]
}
await tokenFor('https://vault.azure.net/.default')
const subscriptions = value.map(({ subscriptionId: id, tenantId, displayName: name }) => ({
  id,
  tenantId,
  name,
  user: { name: username, type: 'servicePrincipal' },
}))
process.stdout.write(`${JSON.stringify(subscriptions, null, 2)}\n`)
