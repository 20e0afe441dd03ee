// A thread that opens so many connections at once, and counts those that are there: for who holds its own still.
import { connect } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

export interface ManyConnections {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** One Int32, which is notified at each. */
  readonly connected: SharedArrayBuffer
}

const { host, port, connections, connected } = workerData as ManyConnections
const count = new Int32Array(connected)
const sockets = Array.from({ length: connections }, () =>
  connect({ host, port }, () => {
    Atomics.add(count, 0, 1)
    Atomics.notify(count, 0)
  }),
)
parentPort?.on('message', () => {
  for (const socket of sockets) socket.destroy()
  parentPort?.close()
})
