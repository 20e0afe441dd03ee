// A program that goes on for longer than an assertion lives: its Azure SDK asks for another when it needs one.
//
//   npm install countersign @azure/identity
//   COUNTERSIGN_URL=https://countersign.contoso.example COUNTERSIGN_TOKEN_FILE=the caller's own token \
//   AZURE_TENANT_ID=TENANT AZURE_CLIENT_ID=CLIENT SCOPE=https://eventhubs.azure.net/.default \
//   node assertion-provider.mjs
//
// AZURE_AUTHORITY_HOST is needed for private clouds and the emulator only.
import { ClientAssertionCredential } from '@azure/identity'
import { assertionProvider } from 'countersign/client'

const { AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, AZURE_CLIENT_ID, SCOPE } = process.env
const { COUNTERSIGN_URL, COUNTERSIGN_TOKEN_FILE } = process.env

const clientAssertion = assertionProvider({
  service: COUNTERSIGN_URL,
  application: 'deploy',
  tenant: AZURE_TENANT_ID,
  callerToken: { file: COUNTERSIGN_TOKEN_FILE },
})

const credential = new ClientAssertionCredential(
  AZURE_TENANT_ID,
  AZURE_CLIENT_ID,
  clientAssertion,
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
