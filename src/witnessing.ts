// A key that a vault holds for a witness, as one more part of the wiring.
import { randomBytes } from 'node:crypto'
import type { Clock } from './base/clock.ts'
import { newSignatureId } from './base/ids.ts'
import type { WitnessVaultKeyConfig } from './config/witness/witness-config.ts'
import { HeadKeyError } from './custody/head-key.ts'
import { createKeyVaultHeadKey } from './custody/key-vault-head-key.ts'
import { thumbprintOf, type WitnessKey, WitnessKeyError } from './custody/witness-key.ts'
import { createKeyVaultSigner } from './signer/key-vault-signer.ts'
import { SignerError } from './signer/signer.ts'
import { createVaultAccess } from './vault-access/vault-access.ts'

export interface OpenWitnessKey {
  readonly key: WitnessKey
  readonly close: () => Promise<void>
}

/** A head is witnessed once a minute, or once a page: whoever waits longer is told so. */
const signMs = 15_000

/**
 * The current version of a key, for as long as the process runs: proven as a key of heads is, because what it
 * signs is as little for anything else.
 *
 * @param identityClientId Of a user-assigned identity; absent for the system-assigned one.
 * @param product Name and version for the User-Agent, such as `countersign/1.0.0`.
 * @throws WitnessKeyError
 */
export async function openVaultWitnessKey(
  config: WitnessVaultKeyConfig,
  identityClientId: string | undefined,
  product: string,
  clock: Clock,
): Promise<OpenWitnessKey> {
  const { cloud, credential, vault: vaultUrl, nameInVault: vaultKeyName, requireHsm } = config
  const access = await createVaultAccess({
    kind: credential,
    clientId: identityClientId,
    loopbackVaults: cloud.loopbackVaults,
    authority: cloud.name === 'custom' ? 'private' : 'of-microsoft',
  })
  await using opened = new AsyncDisposableStack()
  opened.defer(() => access.close())
  const location = { vaultUrl, vaultKeyName, requireHsm }
  const signer = createKeyVaultSigner(access, product, clock)
  const key = await orWitnessKeyError(async () => {
    const loaded = await createKeyVaultHeadKey(location, access, clock).load()
    await signer.prepare(loaded)
    return loaded
  })
  opened.move()
  return {
    key: {
      keyId: thumbprintOf(key.publicKey),
      algorithm: 'PS256',
      sign: (signingInput) =>
        orWitnessKeyError(async () => {
          const { value } = await signer.sign({
            key,
            algorithm: 'PS256',
            signingInput,
            signatureId: newSignatureId(),
            nonce: randomBytes(16).toString('base64url'),
            timeoutMs: signMs,
          })
          return value
        }),
    },
    close: () => access.close(),
  }
}

async function orWitnessKeyError<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (!(cause instanceof HeadKeyError) && !(cause instanceof SignerError)) throw cause
    throw new WitnessKeyError('WITNESS_KEY_VAULT', { cause })
  }
}
