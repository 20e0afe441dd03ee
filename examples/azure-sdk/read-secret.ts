// A program that knows managed identity alone reads a secret of another tenant's vault. Node runs it as it is.
//
//   npm install @azure/identity @azure/keyvault-secrets
//   VAULT_URL=https://fabrikam-settings.vault.azure.net SECRET=orders-database \
//   countersign agent -- node read-secret.ts
//
// In a vault of a private cloud or the emulator the check of its host must be off (VAULT_HOST_CHECK=off).
import { ManagedIdentityCredential } from '@azure/identity'
import { SecretClient } from '@azure/keyvault-secrets'

const { VAULT_URL = '', SECRET = '', VAULT_HOST_CHECK } = process.env

const client = new SecretClient(VAULT_URL, new ManagedIdentityCredential(), {
  disableChallengeResourceVerification: VAULT_HOST_CHECK === 'off',
})
const { value } = await client.getSecret(SECRET)
console.log(value)
