import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose'
import { Agent } from 'undici'

/** The published keys of an authority, fetched over HTTPS when they are needed. */
export interface AuthorityKeys {
  /** Rejects with `KeysUnreachableError` where the keys cannot be had, with a JOSE error where they do not fit. */
  readonly get: RemoteJWKSet
  /** Ends the connections to the authority. */
  close(): Promise<void>
}

/** Not the token's fault: the authority gave no keys. */
export class KeysUnreachableError extends Error {
  override readonly name = 'KeysUnreachableError'
}

/** At most one look for new keys in this time, however many unknown `kid`s strangers send. */
const cooldownMs = 1000

/** @param trustedCa PEM that the authority's certificate chains to. */
export function createAuthorityKeys(url: URL, trustedCa: string): AuthorityKeys {
  const agent = new Agent({ connect: { ca: trustedCa } })
  const get = createRemoteJWKSet(url, {
    cooldownDuration: cooldownMs,
    [customFetch]: async (address, { headers, signal }) => {
      try {
        const { origin, pathname, search } = new URL(address)
        const path = pathname + search
        const order = {
          origin,
          path,
          method: 'GET',
          headers: Object.fromEntries(headers),
          signal,
        } as const
        const { statusCode, body } = await agent.request(order)
        const text = await body.text()
        if (statusCode !== 200) throw new Error(`${address} answered ${statusCode}`)
        return new Response(text)
      } catch (cause) {
        throw new KeysUnreachableError('no keys from the authority', { cause })
      }
    },
  })
  return { get, close: () => agent.close() }
}
