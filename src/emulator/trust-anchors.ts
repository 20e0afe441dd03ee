import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCertificateAuthority, type ServerCertificate } from './certificate-authority.ts'
import { createClientAuthority, type ClientAuthority } from './clients/client-authority.ts'
import type { EmulatorClock } from './emulator-clock.ts'

/** Whom the two ends of a TLS connection trust here: one CA for servers and one for clients. */
export interface TrustAnchors {
  /** Of the CA that signs for servers: what clients must trust. */
  readonly caPem: string
  /** Holds that; gone again when the emulator has ended. */
  readonly caFile: string
  /** What every server of the emulator shows. */
  readonly tls: ServerCertificate
  readonly clients: ClientAuthority
  /** PEM of the CA that signs certificates of clients; gone likewise. */
  readonly clientCaFile: string
}

export interface TrustAnchorsDeps {
  readonly clock: EmulatorClock
  /** Gets `ca.pem` and `client-ca.pem`; made where it does not exist. */
  readonly stateFolder: string
  /** Removes the files, so that nobody trusts an emulator that has ended. */
  readonly started: AsyncDisposableStack
}

export async function createTrustAnchors({
  clock,
  stateFolder,
  started,
}: TrustAnchorsDeps): Promise<TrustAnchors> {
  const servers = await createCertificateAuthority(clock)
  const tls = await servers.issueServerCertificate()
  mkdirSync(stateFolder, { recursive: true })
  const caFile = join(stateFolder, 'ca.pem')
  writeFileSync(caFile, servers.certificatePem)
  const clients = await createClientAuthority(clock)
  const clientCaFile = join(stateFolder, 'client-ca.pem')
  writeFileSync(clientCaFile, clients.certificatePem)
  started.defer(() => {
    for (const file of [caFile, clientCaFile]) rmSync(file, { force: true })
  })
  return { caPem: servers.certificatePem, caFile, tls, clients, clientCaFile }
}
