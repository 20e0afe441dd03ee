// A program with msal-node, which asks Countersign for an assertion when it needs one. Node runs it as it is.
//
//   npm install countersign @azure/msal-node
//   COUNTERSIGN_URL=https://countersign.contoso.example COUNTERSIGN_TOKEN_FILE=the caller's own token \
//   AZURE_TENANT_ID=TENANT AZURE_CLIENT_ID=CLIENT SCOPE=https://eventhubs.azure.net/.default \
//   node client-assertion.ts
//
// AZURE_AUTHORITY_HOST is needed for private clouds and the emulator only.
import { ConfidentialClientApplication } from '@azure/msal-node'
import { assertionProvider } from 'countersign/client'

const setting = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`set ${name}`)
  return value
}

const tenant = setting('AZURE_TENANT_ID')
const authority = process.env['AZURE_AUTHORITY_HOST']

const application = new ConfidentialClientApplication({
  auth: {
    clientId: setting('AZURE_CLIENT_ID'),
    authority: `${authority ?? 'https://login.microsoftonline.com'}/${tenant}`,
    ...(authority === undefined ? {} : { knownAuthorities: [new URL(authority).host] }),
    clientAssertion: assertionProvider({
      service: setting('COUNTERSIGN_URL'),
      application: 'deploy',
      tenant,
      callerToken: { file: setting('COUNTERSIGN_TOKEN_FILE') },
    }),
  },
})

const scopes = [setting('SCOPE')]
// The second is from its cache; it asks for the assertion all the same, and that costs no signature.
const answers = [
  await application.acquireTokenByClientCredential({ scopes }),
  await application.acquireTokenByClientCredential({ scopes }),
]
// What the tokens say, and never the tokens: whoever has one is the application until it ends.
for (const answer of answers) console.log(JSON.stringify(claimsOf(answer?.accessToken ?? '')))

function claimsOf(token: string): unknown {
  const [, payload = ''] = token.split('.')
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
}
