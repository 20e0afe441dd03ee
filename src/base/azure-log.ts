/** A log of Azure, by what is in it: requests to vaults, sign-ins of service principals, or directory audits. */
export type AzureLog = 'vault-log' | 'signin-log' | 'audit-log'
