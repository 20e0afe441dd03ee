import { createSecureContext } from 'node:tls'
import { systemClock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import { readTextFile } from '../base/text-file.ts'
import type { CallerEnvironment } from '../config/environment.ts'
import { authorizationWith } from './bearer-token.ts'
import { type AskedAudience, findCallerToken } from './caller-token.ts'
import { CommandError } from './command-error.ts'
import { type DpopKey, parseDpopKey } from './dpop-key.ts'

/** What a caller proves itself with. */
export type CallerCredential =
  | { readonly kind: 'bearer'; readonly token: Secret<string> }
  /** The proof of a key in every request, and the token that is bound to it. */
  | { readonly kind: 'dpop'; readonly token: Secret<string>; readonly key: DpopKey }
  | {
      readonly kind: 'certificate'
      readonly certificate: ClientCertificateFiles
      /** Bound to the certificate; absent: the certificate alone is the proof. */
      readonly token?: Secret<string>
    }

/** PEM. */
export interface ClientCertificateFiles {
  /** Its own first, then what leads to a CA. */
  readonly cert: string
  readonly key: string
}

export interface CredentialOptions {
  readonly tokenFile?: string
  /** Both or neither. */
  readonly certificate?: string
  readonly key?: string
  readonly dpopKey?: string
}

/**
 * The one proof that the options name; without any, the caller's own token as the environment has it.
 *
 * @throws Error in one sentence when there is none, or a file cannot be used.
 */
export async function findCredential(
  options: CredentialOptions,
  audience: AskedAudience,
  environment: CallerEnvironment,
): Promise<CallerCredential> {
  const { tokenFile, certificate, key, dpopKey } = options
  if ((certificate === undefined) !== (key === undefined)) {
    throw new CommandError('give both --certificate FILE and --key FILE, or neither')
  }
  if (certificate === undefined || key === undefined) {
    const proofKey = dpopKey === undefined ? undefined : await dpopKeyIn(dpopKey)
    const token = await findCallerToken(tokenFile, audience, environment)
    return proofKey === undefined
      ? { kind: 'bearer', token }
      : { kind: 'dpop', token, key: proofKey }
  }
  if (dpopKey !== undefined) {
    throw new CommandError('give either --certificate or --dpop-key: a token is bound to one key')
  }
  const files = await certificateIn(certificate, key)
  // What the environment has is for others: beside a certificate it would be a second proof.
  if (tokenFile === undefined) return { kind: 'certificate', certificate: files }
  const token = await findCallerToken(tokenFile, audience, environment)
  return { kind: 'certificate', certificate: files, token }
}

export interface AskedRoute {
  readonly method: string
  /** Under which everybody reaches the service, and the path: what a proof is about. */
  readonly publicUrl: string
}

/** @throws Error in one sentence when the token cannot be sent. */
export function headersFrom(
  credential: CallerCredential,
  { method, publicUrl }: AskedRoute,
): Readonly<Record<string, string>> {
  const { token } = credential
  if (token === undefined) return {}
  if (credential.kind !== 'dpop') return authorizationWith('Bearer', token)
  const nowSeconds = systemClock.nowSeconds()
  const dpop = credential.key.proofFor({ method, url: publicUrl, token, nowSeconds })
  return { ...authorizationWith('DPoP', token), dpop }
}

async function dpopKeyIn(file: string): Promise<DpopKey> {
  const pem = await textIn(file, '--dpop-key')
  try {
    return parseDpopKey(pem)
  } catch (error) {
    throw new CommandError(`--dpop-key: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function certificateIn(
  certificateFile: string,
  keyFile: string,
): Promise<ClientCertificateFiles> {
  const files = {
    cert: await textIn(certificateFile, '--certificate'),
    key: await textIn(keyFile, '--key'),
  }
  try {
    createSecureContext(files)
  } catch {
    throw new CommandError(
      '--certificate and --key are not a certificate and its key in PEM, without a password',
    )
  }
  return files
}

/** Says nothing of the path: somebody may have put there what belongs into the file. */
async function textIn(file: string, option: string): Promise<string> {
  const reading = await readTextFile(file)
  if (reading.ok) return reading.text
  throw new CommandError(`${option} cannot be read. ${reading.fault}`)
}
