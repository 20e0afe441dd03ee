import { once } from 'node:events'
import { connect } from 'node:net'

/**
 * Sends bytes that no HTTP client would, and returns what came back until the server ended the
 * connection; an answer that keeps it open is not waited for longer than `quietMs`.
 */
export async function sendRaw(origin: string, text: string, quietMs = 500): Promise<string> {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  socket.setTimeout(quietMs, () => socket.destroy())
  await once(socket, 'connect')
  socket.write(text)
  await once(socket, 'close')
  return Buffer.concat(received).toString('utf8')
}

/** Sends bytes and hangs up, once `until` resolves; resolves when the connection is gone. */
export async function hangUpAfter(
  origin: string,
  text: string,
  until: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(text, () => void until().finally(() => socket.resetAndDestroy()))
  await once(socket, 'close')
}
