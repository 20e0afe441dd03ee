// Loaded into a replica before its program: connections to a port of the table go to another one, where a
// wire begins that the torture can cut. So that URLs, names and certificates stay what they are for all
// replicas, and only this one's connections suffer.
import { type NetConnectOpts, Socket } from 'node:net'
import { portsVariable } from './wires.ts'

const wireAt = new Map(
  JSON.parse(process.env[portsVariable] ?? '[]') as readonly (readonly [number, number])[],
)
const wired = (port: unknown) => wireAt.get(Number(port)) ?? port

// eslint-disable-next-line @typescript-eslint/unbound-method -- called on the socket below
const connect = Socket.prototype.connect as (this: Socket, ...args: unknown[]) => Socket

/** As `net` and `tls` call it, with a list that holds the options, and as others do. */
function connectWired(this: Socket, ...args: unknown[]): Socket {
  const [first] = args
  if (Array.isArray(first)) {
    const list: unknown[] = first
    list[0] = withWire(list[0] as NetConnectOpts)
  } else if (typeof first === 'object') args[0] = withWire(first as NetConnectOpts)
  else args[0] = wired(first)
  return connect.apply(this, args)
}

const withWire = (options: NetConnectOpts) =>
  'port' in options ? { ...options, port: wired(options.port) } : options

Socket.prototype.connect = connectWired
