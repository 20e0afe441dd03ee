import { keyNameText, parseKeyUrl, withoutPort } from './key-name.ts'
import type { KeyName } from './key-name.ts'

/** Which records of the vault's log have to be accounted for. */
export interface Watch {
  /** Keys by name, as the ledger and the operator name them. */
  readonly keys: readonly string[]
  /** Whatever the version; of a certificate or secret, whether the key of its name is watched. */
  watches(key: KeyName): boolean
  /** Whether a watched key is in that vault: by its host, or by its name alone. */
  watchesVault(vault: string): boolean
}

/** @param ledgerKeys That the ledger says the service used. @param named By the operator, besides. */
export function watchFrom(ledgerKeys: Iterable<string>, named: readonly KeyName[]): Watch {
  const keys = [...new Set([...ledgerKeys, ...named.map(keyNameText)])].sort()
  // A record that names its key by `requestUri` alone has lost the port.
  const known = new Set(keys.flatMap(withAndWithoutPort))
  const vaults = new Set(
    keys.flatMap((text) => {
      const vault = parseKeyUrl(text)?.vault
      return vault === undefined ? [] : [vault, vault.split('.')[0] ?? vault]
    }),
  )
  return {
    keys,
    watches: (key) => known.has(keyNameText(key)),
    watchesVault: (vault) => vaults.has(vault),
  }
}

function withAndWithoutPort(text: string): readonly string[] {
  const key = parseKeyUrl(text)
  return key === undefined ? [text] : [text, keyNameText(withoutPort(key))]
}
