/** A key of a vault, whatever its version: an old version signs as well as the new one. */
export interface KeyName {
  /** Host of the vault, lower case, with its port unless that is 443. */
  readonly vault: string
  /** Lower case, because vaults do not tell names by case. */
  readonly name: string
}

export interface KeyVersion extends KeyName {
  /** Lower case; absent when the URL names none. */
  readonly version?: string
}

/** A key, certificate or secret of a name: a certificate has all three. */
export interface VaultObject extends KeyVersion {
  readonly collection: 'keys' | 'certificates' | 'secrets'
}

const objectPath = /^\/(keys|certificates|secrets)\/([0-9a-z-]{1,127})(?:\/([0-9a-z]*))?(?:\/|$)/i

/** Tells `/keys/{name}/{version}` from `/keys/{name}/sign`. */
const versionForm = /^[0-9a-z]{32}$/i

/** `https://{vault}/{collection}/{name}[/{version}]`, whatever follows; undefined for any other text. */
export function parseObjectUrl(text: string): VaultObject | undefined {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:') return undefined
  const [, collection = '', name, version = ''] = objectPath.exec(url.pathname) ?? []
  if (name === undefined) return undefined
  const object = {
    collection: collection.toLowerCase() as VaultObject['collection'],
    vault: url.host,
    name: name.toLowerCase(),
  }
  return versionForm.test(version) ? { ...object, version: version.toLowerCase() } : object
}

/** `https://{vault}/keys/{name}[/{version}]`, whatever follows; undefined for any other text. */
export function parseKeyUrl(text: string): KeyVersion | undefined {
  const object = parseObjectUrl(text)
  if (object?.collection !== 'keys') return undefined
  const { vault, name, version } = object
  return version === undefined ? { vault, name } : { vault, name, version }
}

/** The same text for the same key, whatever the version. */
export const keyNameText = ({ vault, name }: KeyName): string => `https://${vault}/keys/${name}`

/** Made once for each object: records that were read by one mould have theirs in common. */
const versionTexts = new WeakMap<KeyVersion, string>()

export function keyVersionText(key: KeyVersion): string {
  const known = versionTexts.get(key)
  if (known !== undefined) return known
  const text = key.version === undefined ? keyNameText(key) : `${keyNameText(key)}/${key.version}`
  versionTexts.set(key, text)
  return text
}

/** Without its port, which only vaults that are emulated have. */
export const withoutPort = <Key extends KeyName>(key: Key): Key => ({
  ...key,
  vault: key.vault.replace(/:\d+$/, ''),
})
