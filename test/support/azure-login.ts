// Stands for the Azure CLI, which is not on this machine: does with MSAL for Node what its `login` does with MSAL for
// Python. It takes the options of `az login` that it knows and no others. With a federated token it presents that as
// client assertion for Azure Resource Manager, and the same one again for a vault, because the CLI keeps it; with
// `--identity` it asks the managed identity that its environment names. With both it lists the subscriptions.
// AZURE_AUTHORITY_HOST and RESOURCE_MANAGER are what `az cloud register` would have been told.
import { parseArgs } from 'node:util'
import { ConfidentialClientApplication, ManagedIdentityApplication } from '@azure/msal-node'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    identity: { type: 'boolean' },
    'service-principal': { type: 'boolean' },
    username: { type: 'string', short: 'u' },
    tenant: { type: 'string', short: 't' },
    'federated-token': { type: 'string' },
  },
})
const isIdentity = values.identity === true
if (positionals.join(' ') !== 'login' || isIdentity === (values['service-principal'] === true)) {
  throw new Error('only: az login --service-principal, or az login --identity')
}
const { RESOURCE_MANAGER = '' } = process.env
// As the CLI has the URI of Azure Resource Manager, with its slash.
const management = 'https://management.core.windows.net/'

const { name, tokenFor } = isIdentity ? asManagedIdentity() : asServicePrincipal()
const token = await tokenFor(management)
const response = await fetch(`${RESOURCE_MANAGER}/subscriptions?api-version=2022-12-01`, {
  headers: { authorization: `Bearer ${token}` },
})
const { value } = (await response.json()) as {
  readonly value: readonly { subscriptionId: string; tenantId: string; displayName: string }[]
}
await tokenFor('https://vault.azure.net')
const subscriptions = value.map(({ subscriptionId: id, tenantId, displayName }) => ({
  id,
  tenantId,
  name: displayName,
  user: { name, type: 'servicePrincipal' },
}))
process.stdout.write(`${JSON.stringify(subscriptions, null, 2)}\n`)

function asServicePrincipal() {
  const { username = '', tenant = '', 'federated-token': clientAssertion = '' } = values
  const { AZURE_AUTHORITY_HOST: authority = '' } = process.env
  const client = new ConfidentialClientApplication({
    auth: {
      clientId: username,
      authority: `${authority}/${tenant}`,
      knownAuthorities: [new URL(authority).host],
      clientAssertion,
    },
  })
  return {
    name: username,
    tokenFor: async (resource: string) => {
      const answer = await client.acquireTokenByClientCredential({
        scopes: [`${resource}/.default`],
      })
      return answer?.accessToken ?? ''
    },
  }
}

function asManagedIdentity() {
  const client = new ManagedIdentityApplication()
  return {
    name: 'systemAssignedIdentity',
    tokenFor: async (resource: string) => (await client.acquireToken({ resource })).accessToken,
  }
}
