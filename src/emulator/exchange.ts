import type { IncomingHttpHeaders } from 'node:http'

/** One HTTP request as an emulated service sees it: read whole, bounded, nothing interpreted yet. */
export interface EmulatedRequest {
  readonly method: string
  /** As it came on the request line, undecoded: `/keys/assert//sign?api%2Dversion=2025-07-01`. */
  readonly target: string
  /** The path of `target`, undecoded. */
  readonly path: string
  /** Query parameters, names and values percent-decoded. */
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly remoteAddress: string
  readonly tlsVersion: string | undefined
}

/** What an emulated service answers: a whole response, or a connection that dies. */
export type EmulatedReply = Delay &
  (
    | {
        readonly kind: 'answer'
        readonly status: number
        readonly headers: Readonly<Record<string, string | readonly string[]>>
        readonly body: Buffer
      }
    | { readonly kind: 'drop' }
  )

interface Delay {
  /** Held back for so long before it is written. */
  readonly delayMs?: number
  /** Aborted when it is held back no longer; absent: it never is. */
  readonly undelayed?: AbortSignal
}

/** An emulated service: a function from a request to a reply. The listener owns sockets and TLS. */
export type EmulatedService = (request: EmulatedRequest) => Promise<EmulatedReply>
