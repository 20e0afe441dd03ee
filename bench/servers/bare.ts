// The least that could answer: parses the body and returns bytes of the same size as ours.
import { createServer } from 'node:http'

const answer = Buffer.from(
  JSON.stringify({
    access_token: 'x'.repeat(Number(process.argv[2])),
    token_type: 'Bearer',
    expires_in: 3599,
    attempt: '01980000-0000-7000-8000-000000000000',
  }),
)

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    JSON.parse(Buffer.concat(chunks).toString('utf8'))
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': answer.length,
    })
    response.end(answer)
  })
})
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify(server.address()))
})
