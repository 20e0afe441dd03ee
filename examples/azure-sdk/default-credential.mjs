// A program that knows Azure and nothing of Countersign. What it acts as, and where it asks, is in its
// environment alone:
//
//   AZURE_AUTHORITY_HOST=https://countersign.contoso.example
//   AZURE_TENANT_ID=TENANT AZURE_CLIENT_ID=CLIENT
//   AZURE_FEDERATED_TOKEN_FILE=the workload's own token, meant for Countersign
//   AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential
//   SCOPE=https://eventhubs.azure.net/.default
import { DefaultAzureCredential } from '@azure/identity'

const { token, expiresOnTimestamp } = await new DefaultAzureCredential().getToken(process.env.SCOPE)
const { aud, tid, appid, azp } = JSON.parse(
  Buffer.from(token.split('.')[1], 'base64url').toString(),
)
console.log(
  JSON.stringify({
    aud,
    tid,
    app: appid ?? azp,
    secondsLeft: Math.round((expiresOnTimestamp - Date.now()) / 1000),
  }),
)
