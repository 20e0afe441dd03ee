import type { IncomingMessage, ServerResponse } from 'node:http'

/** Ours: a mistake such as a file instead of a request is read past, so that its sender hears of it. */
const discardedBytesMax = 256 * 1024
/** As long as the answer may take to a client that is far away and does not read before it has written. */
const discardedForMs = 1000

/** What is left of a body that nobody read must not be taken for the next request. */
export function hasUnreadBody(request: IncomingMessage): boolean {
  if (request.complete) return false
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  return encoding !== undefined || (length !== undefined && length !== '0')
}

/**
 * Ends an answer that has been written, and with it the connection, whose request has not been read to
 * its end. In stages (RFC 9112 §9.6): a connection that is closed over bytes that nobody read is reset,
 * and the answer may be lost with it. So a little more is thrown away first; then it is closed, whatever
 * is still to come.
 */
export function endUnread(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0
  const discard = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > discardedBytesMax) end()
  }
  const end = () => {
    request.off('data', discard).pause()
    response.end()
  }
  const timer = setTimeout(end, discardedForMs)
  request.on('data', discard).once('end', end)
  response.once('close', () => {
    clearTimeout(timer)
  })
}
