import { type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { parsePublicKey } from '../base/public-key.ts'
import { faultFrom } from '../base/text-file.ts'
import type { Evidence } from '../custody/ledger-verdict.ts'
import { witnessAlgorithmOf } from '../custody/witnessed-head.ts'
import { CommandError } from './command-error.ts'

/** What a ledger can be held to besides itself. */
export interface EvidenceOptions {
  readonly headKey?: readonly string[]
  readonly anchor?: readonly string[]
  readonly witness?: readonly string[]
  readonly witnessKey?: readonly string[]
  readonly certificate?: readonly string[]
}

/** Those for heads: whoever verifies proofs as well adds `--certificate`. */
export const evidenceOptions = (command: Command): Command =>
  command
    .option('--witness <file...>', 'heads that a witness has signed too; needs --witness-key')
    .option('--witness-key <file...>', 'public keys of the witness (PEM or JWK)')
    .option('--anchor <file...>', 'heads that were kept elsewhere, as JSON Lines')
    .option(
      '--head-key <file...>',
      'public keys of the heads (PEM or JWK), instead of those on record',
    )

/** @throws CommandError */
export async function readEvidence(options: EvidenceOptions): Promise<Evidence> {
  const { headKey = [], anchor = [], witness = [], witnessKey = [], certificate = [] } = options
  if (witness.length > 0 && witnessKey.length === 0) {
    throw new CommandError(
      '--witness needs --witness-key: who has signed what is in the file is what it is worth',
    )
  }
  const keys = await Promise.all(witnessKey.map(readWitnessKey))
  return {
    headKeys: await Promise.all(headKey.map(readHeadKey)),
    certificates: await Promise.all(certificate.map(readCertificate)),
    anchors: anchor,
    witnesses: witness.map((file) => ({ file, keys })),
  }
}

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

async function readHeadKey(file: string): Promise<KeyObject> {
  const key = parsePublicKey((await read('--head-key', file)).toString())
  if (key?.asymmetricKeyType === 'rsa') return key
  throw new CommandError(`--head-key ${file} must hold an RSA public key, as PEM or as a JWK`)
}

async function readWitnessKey(file: string): Promise<KeyObject> {
  const key = parsePublicKey((await read('--witness-key', file)).toString())
  if (key !== undefined && witnessAlgorithmOf(key) !== undefined) return key
  throw new CommandError(
    `--witness-key ${file} must hold the public key of a witness, Ed25519 or RSA of 2048 bits or more, as PEM or as a JWK`,
  )
}

async function readCertificate(file: string): Promise<X509Certificate> {
  const bytes = await read('--certificate', file)
  try {
    return new X509Certificate(bytes)
  } catch {
    throw new CommandError(`--certificate ${file} must hold a certificate, as PEM or DER`)
  }
}
