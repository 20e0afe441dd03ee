import type { VaultCertificate, VaultKey, VaultSecret } from './performed.ts'
import { versionOf } from './shelf.ts'
import type { StoredCertificate, StoredKey, VaultStore } from './vault-store.ts'

/** What a vault has under the names that requests use; a certificate's key is found among the keys. */

export function keyIn(
  store: VaultStore,
  name: string,
  version: string | undefined,
): VaultKey | undefined {
  const stored = storedKeyIn(store, name)
  const found = stored === undefined ? undefined : versionOf(stored, version)
  return found && stored && asKey(store, stored, found)
}

export const storedKeyIn = (store: VaultStore, name: string): StoredKey | undefined =>
  store.keys.find(name) ?? store.find(name)

export function certificateIn(
  store: VaultStore,
  name: string,
  version: string | undefined,
): VaultCertificate | undefined {
  const stored = store.find(name)
  const found = stored === undefined ? undefined : versionOf(stored, version)
  return found && stored && { kind: 'certificate', stored, version: found }
}

/** Of those that belong to no certificate. */
export function secretIn(
  store: VaultStore,
  name: string,
  version: string | undefined,
): VaultSecret | undefined {
  const stored = store.secrets.find(name)
  const found = stored === undefined ? undefined : versionOf(stored, version)
  return found && stored && { kind: 'secret', stored, version: found }
}

/** Every version of a key. */
export const versionsOfKey = (store: VaultStore, stored: StoredKey): readonly VaultKey[] =>
  stored.versions.map((version) => asKey(store, stored, version))

/** Every version of a certificate. */
export const versionsOfCertificate = (stored: StoredCertificate): readonly VaultCertificate[] =>
  stored.versions.map((version) => ({ kind: 'certificate', stored, version }))

/** The current version of every key. */
export const currentKeys = (store: VaultStore): readonly VaultKey[] =>
  [...store.list(), ...store.keys.list()].flatMap((stored) =>
    versionsOfKey(store, stored).slice(-1),
  )

/** The current version of every certificate. */
export const currentCertificates = (store: VaultStore): readonly VaultCertificate[] =>
  store.list().flatMap((stored) => versionsOfCertificate(stored).slice(-1))

const asKey = (store: VaultStore, stored: StoredKey, version: VaultKey['version']): VaultKey => ({
  kind: 'key',
  stored,
  version,
  managed: store.find(stored.name) !== undefined,
})
