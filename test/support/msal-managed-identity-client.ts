// Asks for one token with @azure/msal-node's ManagedIdentityApplication and prints what came of it as JSON.
// A program of its own, because MSAL keeps the source of managed identity that it finds first.
// Arguments: RESOURCE [CLIENT_ID]; the environment says which source there is.
import { ManagedIdentityApplication } from '@azure/msal-node'

const [resource = '', userAssignedClientId] = process.argv.slice(2)

const outcome = await askForToken().catch((error: unknown) => ({
  error: error instanceof Error ? error.message : String(error),
}))
process.stdout.write(JSON.stringify(outcome))

async function askForToken() {
  const application = new ManagedIdentityApplication(
    userAssignedClientId === undefined ? {} : { managedIdentityIdParams: { userAssignedClientId } },
  )
  const source = application.getManagedIdentitySource()
  const { accessToken, expiresOn } = await application.acquireToken({ resource })
  return { source, token: accessToken, expiresOnTimestamp: expiresOn?.getTime() }
}
