/** Where the emulated vaults stand in Azure Resource Manager: one subscription, one resource group. */
const subscription = 'e0000000-0000-4000-8000-00000000000e'
const resourceGroup = 'emulated'

/** As denial messages spell it. */
export const vaultResource = (vault: string) =>
  `/subscriptions/${subscription}/resourcegroups/${resourceGroup}/providers/microsoft.keyvault/vaults/${vault.toLowerCase()}`

/** As audit records and the paths of log blobs spell it. */
export const vaultResourceId = (vault: string) => vaultResource(vault).toUpperCase()
