import { createServer, type RequestListener } from 'node:http'
import { drain } from '../base/drain.ts'
import { listenOnUnixSocket } from '../base/unix-socket.ts'
import { type Listener, serverOptions } from './listener.ts'

/** Operators are few. */
const connectionsMax = 16

/**
 * Answers operators on a Unix socket that only the user of this process, and root, can open.
 *
 * @throws UnixSocketError when it cannot, or somebody listens there.
 */
export async function listenOnSocket(answer: RequestListener, path: string): Promise<Listener> {
  const server = createServer(serverOptions, answer)
  server.maxConnections = connectionsMax
  const place = { path, openTo: 'owner', setting: 'listen.revocationSocket' } as const
  const remove = await listenOnUnixSocket(server, place)
  return {
    origin: `unix:${path}`,
    drain: async (deadlineMs) => {
      await drain(server, deadlineMs)
      remove()
    },
  }
}
