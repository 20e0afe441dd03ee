import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent } from 'undici'
import type { z } from 'zod'
import type { ClientCredential } from '../../src/emulator/clients/client-authority.ts'
import { clientOrderSchema, type ClientOrder } from '../../src/emulator/clients/client-order.ts'
import { createLoopbackTls } from './loopback-tls.ts'
import type { ConfigurationFile } from './test-service.ts'

/** Files of a service that ends TLS itself, on loopback, and connections of its clients. */
export interface LoopbackTlsFiles {
  /** PEM that clients must trust. */
  readonly ca: string
  /** Puts the service behind TLS. */
  listening(file: ConfigurationFile): ConfigurationFile
  /** Writes a file beside them, such as the CAs of an issuer, and returns its path. */
  write(name: string, text: string): string
  /** Connections of a client; without a credential they show no certificate. */
  connections(credential?: ClientCredential): Agent
  /** Ends every connection and removes the files. */
  remove(): Promise<void>
}

export function createLoopbackTlsFiles(): LoopbackTlsFiles {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-mtls-'))
  const { key, cert } = createLoopbackTls()
  const write = (name: string, text: string) => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  }
  const tls = { certFile: write('tls.crt', cert), keyFile: write('tls.key', key) }
  const agents: Agent[] = []
  return {
    ca: cert,
    listening: (file) => ({ ...file, listen: { ...file.listen, tls } }),
    write,
    connections: (credential) => {
      const own =
        credential === undefined ? {} : { cert: credential.certificatePem, key: credential.keyPem }
      const agent = new Agent({ connect: { ca: cert, ...own } })
      agents.push(agent)
      return agent
    },
    remove: async () => {
      await Promise.all(agents.map((agent) => agent.close()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What the emulator's CA of clients is told. */
export const clientOrder = (order: z.input<typeof clientOrderSchema> = {}): ClientOrder =>
  clientOrderSchema.parse(order)
