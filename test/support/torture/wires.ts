import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type CuttableProxy, startCuttableProxy } from '../cuttable-proxy.ts'
import type { Variables } from './workshop.ts'

/** What `through-wires.ts` reads: pairs of a port and the one where its wire begins. */
export const portsVariable = 'TORTURE_WIRES'

/** Who is at the other end. */
export type Peer = 'database' | 'cloud'

export type Interruption = 'cut' | 'stall'

/** Every connection of one replica, in the hands of the torture. */
export interface Wires extends AsyncDisposable {
  /** Makes a process use them. */
  readonly variables: Variables
  /** Whether the process has reached both ends through them, and not past them. */
  areUsed(): boolean
  /** Until what is returned is called. */
  interrupt(peer: Peer, how: Interruption): () => void
}

const preload = pathToFileURL(join(import.meta.dirname, 'through-wires.ts')).href

export async function layWires(ports: Readonly<Record<Peer, readonly number[]>>): Promise<Wires> {
  await using laying = new AsyncDisposableStack()
  const lay = async (port: number) => {
    const proxy = laying.adopt(await startCuttableProxy(port), (one) => one.close())
    return { port, proxy }
  }
  const wires = {
    database: await Promise.all(ports.database.map(lay)),
    cloud: await Promise.all(ports.cloud.map(lay)),
  }
  const pairs = Object.values(wires)
    .flat()
    .map(({ port, proxy }) => [port, proxy.port])
  const laid = laying.move()
  return {
    variables: { NODE_OPTIONS: `--import ${preload}`, [portsVariable]: JSON.stringify(pairs) },
    areUsed: () =>
      Object.values(wires).every((ofPeer) => ofPeer.some(({ proxy }) => proxy.connections > 0)),
    interrupt: (peer, how) => {
      const mends = wires[peer].map(({ proxy }: { readonly proxy: CuttableProxy }) =>
        proxy.interrupt(how),
      )
      return () => {
        for (const mend of mends) mend()
      }
    },
    [Symbol.asyncDispose]: () => laid.disposeAsync(),
  }
}
