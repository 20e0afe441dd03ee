import type { TestEmulator } from './emulator.ts'
import {
  defaultGrants,
  startServiceEmulator,
  startTestService,
  type ConfigurationFile,
  type GrantFile,
  type TestService,
} from './test-service.ts'
import { createLoopbackTlsFiles, type LoopbackTlsFiles } from './tls-clients.ts'

/** A service that ends TLS itself, and its clients. */
export interface TlsService {
  readonly service: TestService
  readonly files: LoopbackTlsFiles
  /** Ends the service, its emulator and every connection. */
  stop(): Promise<void>
}

export interface TlsServiceOptions {
  /** Absent: one that is started for it. It is ended with it in either case. */
  readonly emulator?: TestEmulator
  /** Besides the default ones and `edge`, whose CA is the emulator's own, or in their place. */
  readonly issuers?: (
    emulator: TestEmulator,
    issuers: ConfigurationFile['issuers'],
    files: LoopbackTlsFiles,
  ) => ConfigurationFile['issuers']
  /** Besides the default ones. */
  readonly grants?: readonly GrantFile[]
}

export async function startTlsService({
  emulator: given,
  issuers = () => ({}),
  grants = [],
}: TlsServiceOptions): Promise<TlsService> {
  const emulator = given ?? (await startServiceEmulator())
  const files = createLoopbackTlsFiles()
  const { clientCaFile } = emulator.endpoints
  const service = await startTestService({
    emulator,
    configuration: (file) => ({
      ...files.listening(file),
      issuers: {
        ...file.issuers,
        edge: { kind: 'mtls', caFile: clientCaFile, identity: 'uri' },
        ...issuers(emulator, file.issuers, files),
      },
    }),
    grants: [...defaultGrants, ...grants],
  })
  const stop = async () => {
    await files.remove()
    await service.stop()
    await emulator.stop()
  }
  return { service, files, stop }
}
