import { Agent } from 'undici'
import { createUndiciHttpClient } from '../../src/vault-access/undici-http-client.ts'
import type { VaultAccess } from '../../src/vault-access/vault-access.ts'
import type { TestEmulator } from './emulator.ts'

/** The product's own access to an emulated vault, as one of the world's principals. */
export function vaultAccessTo(
  emulator: TestEmulator,
  principal: string,
  readTimeoutMs = 5000,
): VaultAccess {
  const agent = new Agent({ connect: { ca: emulator.ca } })
  return {
    credential: emulator.credential(principal),
    clientOptions: {
      httpClient: createUndiciHttpClient(agent),
      retryOptions: { maxRetries: 0 },
      disableChallengeResourceVerification: true,
    },
    readTimeoutMs,
    close: () => agent.close(),
  }
}
