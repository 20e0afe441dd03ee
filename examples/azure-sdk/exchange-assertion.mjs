// What a CI job does with an assertion: hands it to an Azure SDK that knows nothing of Countersign.
//
//   CLIENT_ASSERTION=$(countersign assertion --application deploy --tenant TENANT) \
//   AZURE_TENANT_ID=TENANT AZURE_CLIENT_ID=CLIENT SCOPE=https://eventhubs.azure.net/.default \
//   node exchange-assertion.mjs
//
// AZURE_AUTHORITY_HOST is needed for private clouds and the emulator only.
import { ClientAssertionCredential } from '@azure/identity'

const { AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, AZURE_CLIENT_ID, CLIENT_ASSERTION, SCOPE } =
  process.env

const credential = new ClientAssertionCredential(
  AZURE_TENANT_ID,
  AZURE_CLIENT_ID,
  () => Promise.resolve(CLIENT_ASSERTION),
  AZURE_AUTHORITY_HOST === undefined
    ? {}
    : { authorityHost: AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true },
)
const { token, expiresOnTimestamp } = await credential.getToken(SCOPE)
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
