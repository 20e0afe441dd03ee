import { isDeepStrictEqual } from 'node:util'
import { canonicalJson, type JsonOf } from '../base/canonical-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { readTextFile } from '../base/text-file.ts'
import type { Config } from './config.ts'
import { configWidenings } from './config-widening.ts'
import { portableConfig } from './portable-config.ts'

/** A configuration with what its files of certificates hold, to be compared with the next one. */
export interface KnownConfig {
  readonly config: Config
  /** The same with hashes in place of files of authorities; paths start at the file's folder. */
  readonly portable: Config
  /** Of the file with the service's own certificate; null where it has none. */
  readonly ownCertificateSha256: string | null
  /** Of the client secret of the page for auditors; null where it has none. For this process alone: it is written nowhere. */
  readonly clientSecretSha256: string | null
  /**
   * base64url of SHA-256: of two with the same hash no part differs, and the service's own certificate neither. The client
   * secret may, because entries have this hash, and whoever reads them could tell by it whether a guess is right.
   */
  readonly sha256: string
}

/** Whether nothing differs. */
export const saysTheSame = (before: KnownConfig, after: KnownConfig): boolean =>
  before.sha256 === after.sha256 && before.clientSecretSha256 === after.clientSecretSha256

/** @param folder That of `countersign.yaml`. */
export async function knownConfig(config: Config, folder: string): Promise<KnownConfig> {
  // Roots are trusted from the start of a process to its end, whatever becomes of their files.
  const portable = { ...(await portableConfig(config, folder)), trust: config.trust }
  const { transport } = config.listen
  const ownCertificateSha256 = await sha256In(
    transport.kind === 'tls' ? transport.certFile : undefined,
  )
  const clientSecretSha256 = await sha256In(config.audit?.oidc.clientSecretFile)
  const hashed = { ...portable, ownCertificateSha256 }
  const plain: JsonOf<typeof hashed> = hashed
  const sha256 = sha256Base64url(canonicalJson(plain))
  return { config, portable, ownCertificateSha256, clientSecretSha256, sha256 }
}

/** Null where there is no file, or it cannot be read. */
async function sha256In(file: string | undefined): Promise<string | null> {
  const reading = file === undefined ? undefined : await readTextFile(file)
  return reading?.ok === true ? sha256Base64url(reading.text) : null
}

/** By name, such as `application events`, `issuer github`, or `listen`; each list in order. */
export interface ConfigChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
  /** What lets more callers count, or lets grants reach further: more of them rather than fewer. */
  readonly widened: readonly string[]
}

export function configChanges(before: KnownConfig, after: KnownConfig): ConfigChanges {
  const was = partsOf(before)
  const is = partsOf(after)
  return {
    added: [...is.keys()].filter((name) => !was.has(name)).toSorted(),
    removed: [...was.keys()].filter((name) => !is.has(name)).toSorted(),
    changed: [...is]
      .filter(([name, part]) => was.has(name) && !isDeepStrictEqual(was.get(name), part))
      .map(([name]) => name)
      .toSorted(),
    widened: configWidenings(before.portable, after.portable)
      .map(({ part }) => part)
      .toSorted(),
  }
}

function partsOf(known: KnownConfig): ReadonlyMap<string, unknown> {
  const { ownCertificateSha256, clientSecretSha256 } = known
  const { applications, issuers, certificates, listen, audit, ...sections } = known.portable
  const named = (noun: string, parts: readonly { readonly name: string }[]) =>
    parts.map((part) => [`${noun} ${part.name}`, part] as const)
  return new Map<string, unknown>([
    ...Object.entries({
      ...sections,
      listen: { ...listen, ownCertificateSha256 },
      audit: { ...audit, clientSecretSha256 },
    }),
    ...named('application', applications),
    ...named('issuer', issuers),
    ...named('certificate', certificates),
  ])
}
