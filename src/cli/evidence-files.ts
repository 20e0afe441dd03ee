import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { faultFrom } from '../base/text-file.ts'
import { CommandError } from './command-error.ts'

/** Keys and certificates are a few KB. */
const bytesMax = 1_000_000

async function read(option: string, file: string): Promise<Buffer> {
  try {
    const bytes = await readFile(file)
    if (bytes.length <= bytesMax) return bytes
  } catch (error) {
    throw new CommandError(`${option} ${file}: ${faultFrom(error)}`)
  }
  throw new CommandError(`${option} ${file}: it is too large to be one`)
}

/**
 * The public half of a key that signs heads: PEM, or a JWK as Key Vault shows it.
 *
 * @throws CommandError
 */
export async function readHeadKey(file: string): Promise<KeyObject> {
  const text = (await read('--head-key', file)).toString()
  const key = text.includes('-----BEGIN') ? fromPem(text) : fromJwk(text)
  if (key?.asymmetricKeyType === 'rsa') return key
  throw new CommandError(`--head-key ${file} must hold an RSA public key, as PEM or as a JWK`)
}

function fromPem(text: string): KeyObject | undefined {
  try {
    return createPublicKey(text)
  } catch {
    return undefined
  }
}

function fromJwk(text: string): KeyObject | undefined {
  try {
    const written = JSON.parse(text) as { key?: unknown }
    // `az keyvault key show` has it as a member; its key type names who holds it, too.
    const { n, e } = (written.key ?? written) as { n?: unknown; e?: unknown }
    const jwk = { kty: 'RSA', n: base64url(n), e: base64url(e) }
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** Azure's command line writes base64. */
const base64url = (value: unknown) =>
  typeof value === 'string' ? Buffer.from(value, 'base64').toString('base64url') : ''

/** @throws CommandError */
export async function readCertificate(file: string): Promise<X509Certificate> {
  const bytes = await read('--certificate', file)
  try {
    return new X509Certificate(bytes)
  } catch {
    throw new CommandError(`--certificate ${file} must hold a certificate, as PEM or DER`)
  }
}
