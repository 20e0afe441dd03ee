import net from 'node:net'

/**
 * Loaded before every test file: a connection to anything but this machine fails at once, so a test
 * can neither reach the internet nor pass because it did.
 */
// eslint-disable-next-line @typescript-eslint/unbound-method -- called below with the socket it belongs to
const connect = net.Socket.prototype.connect

function hostOf(args: readonly unknown[]): string | undefined {
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args
  if (typeof first === 'object' && first !== null) {
    const { host, path } = first as { host?: string; path?: string }
    return path === undefined ? (host ?? 'localhost') : undefined
  }
  if (typeof first === 'string') return undefined
  return typeof second === 'string' ? second : 'localhost'
}

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1|.*\.localhost)$/

net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
  const host = hostOf(args)
  if (host !== undefined && !loopback.test(host)) {
    throw new Error(`the test network is closed: ${host} is not loopback`)
  }
  return Reflect.apply(connect, this, args) as net.Socket
}
