import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A wire between clients and a server on loopback that a test can cut. */
export interface CuttableProxy {
  readonly port: number
  /** That clients have made so far. */
  readonly connections: number
  /** Cuts every connection that there is now; new ones are made. */
  cut(): void
  /**
   * Does something to the next connection over which a client sends this text, once.
   *
   * - `cut-before`: the server never gets it.
   * - `cut-after`: the server has got it and has answered, and the client never gets the answer.
   * - `hang`: the server never gets it, and neither side is told; the connection stays as it is.
   */
  at(text: string, what: 'cut-before' | 'cut-after' | 'hang'): void
  /**
   * From now on nothing passes, until the function that is returned is called: `cut` ends every
   * connection and makes none, `stall` keeps them, and what is sent meanwhile arrives late.
   */
  interrupt(how: 'cut' | 'stall'): () => void
  /** From now on the server says the second text where it says the first, which is as long. */
  translate(said: string, translated: string): void
  close(): Promise<void>
}

export async function startCuttableProxy(serverPort: number): Promise<CuttableProxy> {
  const sockets = new Set<Socket>()
  let translation: readonly [said: string, translated: string] = ['', '']
  let trap: { readonly text: string; readonly what: Parameters<CuttableProxy['at']>[1] } | undefined

  let interruption: 'cut' | 'stall' | undefined
  let connections = 0

  const proxy = createServer((client) => {
    connections += 1
    if (interruption === 'cut') {
      client.destroy()
      return
    }
    const server = connect(serverPort, '127.0.0.1')
    const both = [client, server]
    const cut = () => {
      for (const socket of both) socket.destroy()
    }
    let answersPass = true
    for (const socket of both) {
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        sockets.delete(socket)
        cut()
      })
    }
    server.on('data', (chunk) => {
      const answer = chunk.toString('latin1').replaceAll(...translation)
      if (answersPass) client.write(answer, 'latin1')
      else cut()
    })
    client.on('data', (chunk) => {
      const what = trap !== undefined && chunk.includes(trap.text) ? trap.what : undefined
      if (what !== undefined) trap = undefined
      if (what === 'cut-before') cut()
      if (what === 'hang') for (const socket of both) socket.pause()
      if (what === 'cut-after') answersPass = false
      if (what === undefined || what === 'cut-after') server.write(chunk)
    })
    if (interruption === 'stall') for (const socket of both) socket.pause()
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')

  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (proxy.address() as AddressInfo).port,
    get connections() {
      return connections
    },
    cut: cutAll,
    at: (text, what) => {
      trap = { text, what }
    },
    interrupt: (how) => {
      interruption = how
      if (how === 'cut') cutAll()
      else for (const socket of sockets) socket.pause()
      return () => {
        interruption = undefined
        for (const socket of sockets) socket.resume()
      }
    },
    translate: (...pair) => {
      translation = pair
    },
    close: async () => {
      const closed = once(proxy, 'close')
      proxy.close()
      cutAll()
      await closed
    },
  }
}
