import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { sha256Base64url } from '../base/sha256.ts'
import type { ClientCertificate } from '../caller/caller.ts'

/** Read once of each connection, and forgotten with it: a handshake does not happen twice. */
const shown = new WeakMap<TLSSocket, { readonly certificate: ClientCertificate | undefined }>()

/** What the client showed while its connection was made; undefined when it was not asked, or had none. */
export function clientCertificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const before = shown.get(socket)
  if (before !== undefined) return before.certificate
  const certificate = certificateFrom(socket)
  shown.set(socket, { certificate })
  return certificate
}

/** Longer chains are not followed anyway. */
const chainMax = 10

function certificateFrom(socket: TLSSocket): ClientCertificate | undefined {
  // A resumed session has forgotten what led to the CA. The listener resumes none; if one were, it proves nobody.
  if (socket.isSessionReused()) return undefined
  const chain: X509Certificate[] = []
  // In the order in which they were sent. (`getPeerCertificate` puts them into one of its own, by their names.)
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && chain.length < chainMax) {
    chain.push(next)
    next = next.issuerCertificate
  }
  const [own] = chain
  return own === undefined ? undefined : { chain, sha256: sha256Base64url(own.raw) }
}
