import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Something on loopback that answers whatever a test wants to be answered. */
export interface MadeUpServer {
  /** `http://127.0.0.1:41234`. */
  readonly origin: string
  close(): Promise<void>
}

export async function startMadeUpServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<MadeUpServer> {
  const server = createServer((request, response) => {
    request.resume()
    request.once('end', () => {
      answer(request, response)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
