// A program that knows managed identity alone: for some seconds it asks the endpoint of its environment for
// a token, many times a second, and prints what it was given: one line each time it is another one. Exits
// with 3 when an answer was no token, or a token that is over.
// Arguments: RESOURCE SECONDS
import { decodeJwt } from 'jose'
import { request } from 'undici'

const [resource = '', seconds = ''] = process.argv.slice(2)
const endpoint = process.env['IDENTITY_ENDPOINT'] ?? ''
const url = `${endpoint}?api-version=2019-08-01&resource=${encodeURIComponent(resource)}`
const headers = { 'x-identity-header': process.env['IDENTITY_HEADER'] ?? '' }
const until = Date.now() + Number(seconds) * 1000
let last = ''
while (Date.now() < until) {
  const { statusCode, body } = await request(url, { headers })
  const answer = (await body.json()) as { readonly access_token?: string }
  const token = answer.access_token ?? ''
  const isOver = token === '' || (decodeJwt(token).exp ?? 0) * 1000 <= Date.now()
  if (statusCode !== 200 || isOver) {
    process.stderr.write(`${statusCode} ${JSON.stringify(answer)}\n`)
    process.exit(3)
  }
  if (token !== last) process.stdout.write(`${token}\n`)
  last = token
  await new Promise((resolve) => setTimeout(resolve, 50))
}
