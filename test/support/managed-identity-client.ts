// Asks for one token with @azure/identity and prints what came of it as JSON. A program of its own,
// because MSAL keeps the source of managed identity that it finds first for the life of the process.
// Arguments: SCOPE [CLIENT_ID]; the environment says which source there is.
import { ManagedIdentityCredential } from '@azure/identity'

const [scope = '', clientId] = process.argv.slice(2)

const outcome = await askForToken().catch((error: unknown) => ({
  error: error instanceof Error ? error.message : String(error),
}))
process.stdout.write(JSON.stringify(outcome))

async function askForToken() {
  const credential =
    clientId === undefined
      ? new ManagedIdentityCredential()
      : new ManagedIdentityCredential({ clientId })
  const { token, expiresOnTimestamp } = await credential.getToken(scope)
  return { token, expiresOnTimestamp }
}
