import { type KeyObject, X509Certificate } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { createUndiciHttpClient } from '../../src/vault-access/undici-http-client.ts'
import type { VaultAccess } from '../../src/vault-access/vault-access.ts'
import { createLoopbackTls } from './loopback-tls.ts'

export interface RecordedVault {
  readonly url: string
  readonly access: VaultAccess
  close(): Promise<void>
}

/**
 * A vault on loopback that holds one certificate, `c`, with the DER that a real one gave; what is said
 * of its key is what the product demands.
 *
 * @param cer Base64 of the DER.
 */
export async function startRecordedVault(cer: string): Promise<RecordedVault> {
  const { publicKey } = new X509Certificate(Buffer.from(cer, 'base64'))
  const tls = createLoopbackTls()
  const server = createServer(tls, (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.headers.authorization === undefined) {
      const challenge = 'Bearer authorization="https://127.0.0.1/t", resource="https://127.0.0.1"'
      response.writeHead(401, { 'www-authenticate': challenge }).end('{}')
      return
    }
    const isKey = request.url?.startsWith('/keys/') === true
    response.end(JSON.stringify(isKey ? keyBundle(url, publicKey) : certificateBundle(url, cer)))
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

const version = '7e38eb9c8b554567aaf9966a7bbc0764'
const attributes = { enabled: true, nbf: 1_631_560_467, exp: 1_663_097_067, hsmPlatform: '2' }

const certificateBundle = (url: string, cer: string) => ({
  id: `${url}/certificates/c/${version}`,
  kid: `${url}/keys/c/${version}`,
  sid: `${url}/secrets/c/${version}`,
  cer,
  attributes,
  policy: {
    id: `${url}/certificates/c/policy`,
    key_props: { exportable: false, kty: 'RSA-HSM', key_size: 2048, reuse_key: false },
  },
})

const keyBundle = (url: string, publicKey: KeyObject) => {
  const { n, e } = publicKey.export({ format: 'jwk' })
  const kid = `${url}/keys/c/${version}`
  return { key: { kid, kty: 'RSA-HSM', key_ops: ['sign', 'verify'], n, e }, attributes }
}
