// What a user would write instead: Express, jose and one msal-node client with the key in a file.
// No ledger, no grants beyond one claim, no second process that could share anything.
import { readFileSync } from 'node:fs'
import { ConfidentialClientApplication } from '@azure/msal-node'
import express from 'express'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { z } from 'zod'

const settings = z
  .object({
    authority: z.string(),
    clientId: z.string(),
    thumbprintSha256: z.string(),
    privateKeyFile: z.string(),
    issuer: z.string(),
    audience: z.string(),
    repositoryId: z.string(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''))

const client = new ConfidentialClientApplication({
  auth: {
    clientId: settings.clientId,
    authority: `${settings.authority}/common`,
    knownAuthorities: [new URL(settings.authority).host],
    clientCertificate: {
      thumbprintSha256: settings.thumbprintSha256,
      privateKey: readFileSync(settings.privateKeyFile, 'utf8'),
    },
  },
})
const keys = createRemoteJWKSet(new URL(`${settings.issuer}/.well-known/jwks`))

const app = express()
app.use(express.json())
app.post('/v1/token', async (request, response) => {
  const token = request.headers.authorization?.slice('Bearer '.length) ?? ''
  const { payload } = await jwtVerify(token, keys, {
    issuer: settings.issuer,
    audience: settings.audience,
  })
  if (payload['repository_id'] !== settings.repositoryId) {
    response.status(403).json({ error: 'not granted' })
    return
  }
  const { tenant, scope } = request.body as { tenant: string; scope: string }
  const result = await client.acquireTokenByClientCredential({
    scopes: [scope],
    authority: `${settings.authority}/${tenant}`,
  })
  response.json({ access_token: result?.accessToken, token_type: 'Bearer' })
})
const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify(server.address()))
})
