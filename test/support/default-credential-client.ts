// Asks for one token with @azure/identity's DefaultAzureCredential and prints what came of it as JSON.
// Argument: SCOPE; the environment says which sources there are.
import { DefaultAzureCredential } from '@azure/identity'

const [scope = ''] = process.argv.slice(2)
const outcome = await new DefaultAzureCredential().getToken(scope).then(
  ({ token, expiresOnTimestamp }) => ({ token, expiresOnTimestamp }),
  (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
)
process.stdout.write(JSON.stringify(outcome))
