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

const keyPath = /^\/keys\/([0-9a-z-]{1,127})(?:\/([0-9a-z]*))?(?:\/|$)/i

/** Tells `/keys/{name}/{version}` from `/keys/{name}/sign`. */
const versionForm = /^[0-9a-z]{32}$/i

/** `https://{vault}/keys/{name}[/{version}]`, whatever follows; undefined for any other text. */
export function parseKeyUrl(text: string): KeyVersion | undefined {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:') return undefined
  const [, name, version = ''] = keyPath.exec(url.pathname) ?? []
  if (name === undefined) return undefined
  const key = { vault: url.host, name: name.toLowerCase() }
  return versionForm.test(version) ? { ...key, version: version.toLowerCase() } : key
}

/** The same text for the same key, whatever the version. */
export const keyNameText = ({ vault, name }: KeyName): string => `https://${vault}/keys/${name}`

export function keyVersionText(key: KeyVersion): string {
  return key.version === undefined ? keyNameText(key) : `${keyNameText(key)}/${key.version}`
}

/** Without its port, which only vaults that are emulated have. */
export const withoutPort = <Key extends KeyName>(key: Key): Key => ({
  ...key,
  vault: key.vault.replace(/:\d+$/, ''),
})
