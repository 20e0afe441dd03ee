import { freePort } from './free-port.ts'
import { startTestService, type TestService, type TestServiceOptions } from './test-service.ts'
import { createLoopbackTlsFiles, type LoopbackTlsFiles } from './tls-clients.ts'

/** A service that is reached under its public URL, as clients that read its metadata must reach it. */
export interface PublicService {
  readonly service: TestService
  readonly files: LoopbackTlsFiles
  /** PEM file that clients must trust. */
  readonly caFile: string
  readonly publicUrl: string
  /** A pipeline's token that is meant for it. */
  callerToken(order?: Parameters<TestService['callerToken']>[1]): Promise<string>
  stop(): Promise<void>
}

export async function startPublicService(
  options: Pick<TestServiceOptions, 'emulator' | 'configuration' | 'grants'> = {},
): Promise<PublicService> {
  const files = createLoopbackTlsFiles()
  const caFile = files.write('ca.pem', files.ca)
  // The metadata has it before the service listens.
  const port = await freePort()
  const publicUrl = `https://127.0.0.1:${port}`
  const service = await startTestService({
    ...options,
    configuration: (file) => {
      const listen = { ...file.listen, port }
      const reachable = { ...files.listening({ ...file, listen }), publicUrl }
      return options.configuration?.(reachable) ?? reachable
    },
  })
  return {
    service,
    files,
    caFile,
    publicUrl,
    callerToken: (order) => service.callerToken('github', { audience: publicUrl, ...order }),
    stop: async () => {
      await files.remove()
      await service.stop()
    },
  }
}
