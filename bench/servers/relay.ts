// The least that could ask a vault: one request in, one POST over TLS to the vault through the same
// pool, one answer out. It signs nothing: a vault that is asked without a token says so at once.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Agent } from 'undici'
import { z } from 'zod'

const { vault, caFile } = z
  .object({ vault: z.string(), caFile: z.string() })
  .parse(JSON.parse(process.argv[2] ?? ''))
const dispatcher = new Agent({ connections: 64, connect: { ca: readFileSync(caFile) } })
const path = '/keys/signing/00000000000000000000000000000000/sign?api-version=7.6'
const body = JSON.stringify({ alg: 'PS256', value: 'x'.repeat(43) })

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    void relay().then((answer) => {
      response.writeHead(200, { 'content-length': answer.length })
      response.end(answer)
    })
  })
})

async function relay(): Promise<Buffer> {
  const answer = await dispatcher.request({
    origin: vault,
    path,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  return Buffer.from(await answer.body.arrayBuffer())
}

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify(server.address()))
})
