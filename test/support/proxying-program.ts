// A program that uses the proxy of its environment for all that it asks: the endpoint that it was given, whose
// status it prints, and then something elsewhere.
// Argument: RESOURCE
import { EnvHttpProxyAgent, request } from 'undici'

const [resource = ''] = process.argv.slice(2)
const { IDENTITY_ENDPOINT = '', IDENTITY_HEADER = '' } = process.env
const dispatcher = new EnvHttpProxyAgent()
const ask = async (url: string, headers = {}) => {
  const { statusCode, body } = await request(url, { dispatcher, headers })
  await body.dump()
  return statusCode
}
const url = `${IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=${encodeURIComponent(resource)}`
const status = await ask(url, { 'x-identity-header': IDENTITY_HEADER })
process.stdout.write(String(status))
await ask('http://outside.example/')
await dispatcher.close()
