import {
  answered,
  base64urlFrom,
  forbiddenUse,
  keyIdOf,
  parametersFrom,
  type KeyOperation,
} from './key-use.ts'
import {
  decryptOaep,
  encryptOaep,
  isEncryptionAlgorithm,
  plaintextBytesMax,
  type EncryptionAlgorithm,
} from './oaep.ts'
import { refused, type Performed, type VaultContent, type VaultKey } from './performed.ts'
import {
  bodyMalformed,
  encryptionAlgorithmUnfit,
  paddingWrong,
  plaintextLength,
  propertyInvalid,
  type VaultError,
} from './vault-error.ts'

/** To wrap is to encrypt, under a name, a role and a key operation of its own. */
export const wrapKey = (content: VaultContent, key: VaultKey, body: Buffer) =>
  encryptAs('wrapKey', content, key, body)

export const encrypt = (content: VaultContent, key: VaultKey, body: Buffer) =>
  encryptAs('encrypt', content, key, body)

/** And to unwrap is to decrypt. */
export const unwrapKey = (content: VaultContent, key: VaultKey, body: Buffer) =>
  decryptAs('unwrapKey', content, key, body)

export const decrypt = (content: VaultContent, key: VaultKey, body: Buffer) =>
  decryptAs('decrypt', content, key, body)

function encryptAs(
  operation: 'encrypt' | 'wrapKey',
  content: VaultContent,
  key: VaultKey,
  body: Buffer,
): Performed {
  const message = messageFor(operation, content, key, body)
  if (!message.ok) return refused(message.error)
  const { algorithm, bytes } = message
  const bytesMax = plaintextBytesMax(algorithm, key.stored.definition.keySize)
  if (bytes.length > bytesMax) return refused(plaintextLength(bytes.length, algorithm, bytesMax))
  return answered(content, key, algorithm, encryptOaep(algorithm, bytes, key.version.publicKey))
}

function decryptAs(
  operation: 'decrypt' | 'unwrapKey',
  content: VaultContent,
  key: VaultKey,
  body: Buffer,
): Performed {
  const message = messageFor(operation, content, key, body)
  if (!message.ok) return refused(message.error)
  const { algorithm, bytes } = message
  const plaintext = decryptOaep(algorithm, bytes, key.version.privateKey)
  return plaintext === undefined
    ? refused(paddingWrong)
    : answered(content, key, algorithm, plaintext)
}

type Message =
  | { readonly ok: true; readonly algorithm: EncryptionAlgorithm; readonly bytes: Buffer }
  | { readonly ok: false; readonly error: VaultError }

/** What symmetric keys encrypt with: known to a vault, and unfit for an RSA key. */
const symmetricAlgorithm = /^A(128|192|256)(KW|GCM|CBC|CBCPAD)$/

function messageFor(
  operation: KeyOperation,
  content: VaultContent,
  key: VaultKey,
  body: Buffer,
): Message {
  const forbidden = forbiddenUse(content, key, operation)
  if (forbidden !== undefined) return { ok: false, error: forbidden }
  const parameters = parametersFrom(body)
  if (parameters === undefined) return { ok: false, error: bodyMalformed }
  const { alg: algorithm } = parameters
  if (typeof algorithm !== 'string' || !isEncryptionAlgorithm(algorithm)) {
    const { keyType } = key.stored.definition
    return {
      ok: false,
      error:
        typeof algorithm === 'string' && symmetricAlgorithm.test(algorithm)
          ? encryptionAlgorithmUnfit(keyIdOf(content, key), keyType, algorithm)
          : propertyInvalid('alg'),
    }
  }
  const bytes = base64urlFrom(parameters['value'])
  return bytes === undefined
    ? { ok: false, error: propertyInvalid('value') }
    : { ok: true, algorithm, bytes }
}
