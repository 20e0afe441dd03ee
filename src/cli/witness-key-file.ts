import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { thumbprintOf, type WitnessKey, WitnessKeyError } from '../custody/witness-key.ts'
import { type WitnessAlgorithm, witnessAlgorithmOf } from '../custody/witnessed-head.ts'

/**
 * A private key in a PEM file of the auditor's own machine. The service has no such thing: what a witness signs
 * buys nothing, and is worth what keeps it out of the service's hands.
 *
 * @throws WitnessKeyError
 */
export async function readWitnessKeyFile(file: string): Promise<WitnessKey> {
  const key = privateKeyIn(await read(file))
  const algorithm = key && witnessAlgorithmOf(createPublicKey(key))
  if (key === undefined || algorithm === undefined) throw new WitnessKeyError('WITNESS_KEY_UNFIT')
  return {
    keyId: thumbprintOf(createPublicKey(key)),
    algorithm,
    sign: (signingInput) => Promise.resolve(signatureBy(key, algorithm, signingInput)),
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new WitnessKeyError('WITNESS_KEY_UNREADABLE', { cause })
  }
}

function privateKeyIn(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text)
  } catch {
    return undefined
  }
}

function signatureBy(key: KeyObject, algorithm: WitnessAlgorithm, input: string): Uint8Array {
  const bytes = Buffer.from(input, 'ascii')
  if (algorithm === 'EdDSA') return sign(undefined, bytes, key)
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return sign('sha256', bytes, pss)
}
