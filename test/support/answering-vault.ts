import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { createUndiciHttpClient } from '../../src/vault-access/undici-http-client.ts'
import type { VaultAccess } from '../../src/vault-access/vault-access.ts'
import { createLoopbackTls } from './loopback-tls.ts'

export interface AnsweringVault {
  readonly url: string
  readonly access: VaultAccess
  close(): Promise<void>
}

export interface VaultAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON, or as it is where it is a text. */
  readonly body: unknown
}

/**
 * A server on loopback TLS that challenges as a vault does and answers what a test makes up: for what
 * no vault in its right mind would say, and the adapters must have a code for.
 *
 * @param answer Told the path, such as `/keys/c/0123…/sign`, and the server's own URL.
 */
export async function startAnsweringVault(
  answer: (path: string, url: string) => VaultAnswer,
): Promise<AnsweringVault> {
  const tls = createLoopbackTls()
  const server = createServer(tls, (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.headers.authorization === undefined) {
      const challenge = 'Bearer authorization="https://127.0.0.1/t", resource="https://127.0.0.1"'
      response.writeHead(401, { 'www-authenticate': challenge }).end('{}')
      return
    }
    const {
      status = 200,
      headers = {},
      body,
    } = answer((request.url ?? '').split('?')[0] ?? '', url)
    response.writeHead(status, { 'x-ms-request-id': 'made-up', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const agent = new Agent({ connect: { ca: tls.cert } })
  return {
    url,
    access: {
      credential: { getToken: () => Promise.resolve({ token: 'any', expiresOnTimestamp: 9e12 }) },
      clientOptions: {
        httpClient: createUndiciHttpClient(agent),
        retryOptions: { maxRetries: 0 },
        disableChallengeResourceVerification: true,
      },
      readTimeoutMs: 5000,
      close: () => agent.close(),
    },
    close: async () => {
      await agent.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
