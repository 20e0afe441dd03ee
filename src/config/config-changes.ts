import { isDeepStrictEqual } from 'node:util'
import { canonicalJson, type Json } from '../base/canonical-json.ts'
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
  /** base64url of SHA-256: of two with the same hash no part differs, and the service's own certificate neither. */
  readonly sha256: string
}

/** @param folder That of `countersign.yaml`. */
export async function knownConfig(config: Config, folder: string): Promise<KnownConfig> {
  // Roots are trusted from the start of a process to its end, whatever becomes of their files.
  const portable = { ...(await portableConfig(config, folder)), trust: config.trust }
  const { transport } = config.listen
  const own = transport.kind === 'tls' ? await readTextFile(transport.certFile) : undefined
  const ownCertificateSha256 = own?.ok === true ? sha256Base64url(own.text) : null
  const text = canonicalJson({ ...portable, ownCertificateSha256 } as unknown as Json)
  return { config, portable, ownCertificateSha256, sha256: sha256Base64url(text) }
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
  const { ownCertificateSha256 } = known
  const { applications, issuers, certificates, listen, ...sections } = known.portable
  const named = (noun: string, parts: readonly { readonly name: string }[]) =>
    parts.map((part) => [`${noun} ${part.name}`, part] as const)
  return new Map<string, unknown>([
    ...Object.entries({ ...sections, listen: { ...listen, ownCertificateSha256 } }),
    ...named('application', applications),
    ...named('issuer', issuers),
    ...named('certificate', certificates),
  ])
}
