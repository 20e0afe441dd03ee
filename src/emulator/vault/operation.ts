/** What a request asks of a vault, read from method and path alone. */
export interface VaultOperation {
  readonly kind: OperationKind
  /** As audit records spell it. */
  readonly name: string
  /** The data action that a role must grant, without `Microsoft.KeyVault/vaults/` in front. */
  readonly action: string
  readonly collection: Collection
  /** As the client wrote it; names are case-insensitive. Undefined where the vault itself is asked. */
  readonly object: string | undefined
  /** Undefined means the current one. */
  readonly version: string | undefined
}

export type Collection = 'keys' | 'certificates' | 'secrets'

/** `ungrantable`: no role of the emulated cloud allows it, so that it is always refused, and recorded. */
export type OperationKind =
  | 'key'
  | 'keys'
  | 'key-versions'
  | 'key-attestation'
  | 'sign'
  | 'verify'
  | 'encrypt'
  | 'decrypt'
  | 'wrap'
  | 'unwrap'
  | 'certificate'
  | 'certificates'
  | 'certificate-versions'
  | 'certificate-policy'
  | 'secret'
  | 'ungrantable'

interface Route {
  readonly method: string
  /**
   * Segments below the collection: `{name}` and `{version}` are taken as they come, `{version}` may be
   * empty or, at the end, absent; the rest is literal.
   */
  readonly path: string
  readonly kind: OperationKind
  readonly name: string
  readonly action: string
}

const route = (
  request: string,
  name: string,
  action: string,
  kind: OperationKind = 'ungrantable',
): Route => {
  const [method = '', path = ''] = request.split(' ')
  return { method, path, kind, name, action }
}

/** The first that fits wins, so literal segments stand before `{version}`. */
const routes: Readonly<Record<Collection, readonly Route[]>> = {
  keys: [
    route('GET ', 'KeyList', 'keys/read', 'keys'),
    route('GET {name}/versions', 'KeyListVersions', 'keys/read', 'key-versions'),
    route('GET {name}/rotationpolicy', 'KeyRotationPolicyGet', 'keys/rotationpolicy/read'),
    route('GET {name}/attestation', 'KeyGet', 'keys/read', 'key-attestation'),
    route('GET {name}/{version}/attestation', 'KeyGet', 'keys/read', 'key-attestation'),
    route('GET {name}/{version}', 'KeyGet', 'keys/read', 'key'),
    route('POST {name}/create', 'KeyCreate', 'keys/create/action'),
    route('POST {name}/backup', 'KeyBackup', 'keys/backup/action'),
    route('POST {name}/rotate', 'KeyRotate', 'keys/rotate/action'),
    route('POST {name}/sign', 'KeySign', 'keys/sign/action', 'sign'),
    route('POST {name}/{version}/sign', 'KeySign', 'keys/sign/action', 'sign'),
    route('POST {name}/verify', 'KeyVerify', 'keys/verify/action', 'verify'),
    route('POST {name}/{version}/verify', 'KeyVerify', 'keys/verify/action', 'verify'),
    route('POST {name}/encrypt', 'KeyEncrypt', 'keys/encrypt/action', 'encrypt'),
    route('POST {name}/{version}/encrypt', 'KeyEncrypt', 'keys/encrypt/action', 'encrypt'),
    route('POST {name}/decrypt', 'KeyDecrypt', 'keys/decrypt/action', 'decrypt'),
    route('POST {name}/{version}/decrypt', 'KeyDecrypt', 'keys/decrypt/action', 'decrypt'),
    route('POST {name}/wrapkey', 'KeyWrap', 'keys/wrap/action', 'wrap'),
    route('POST {name}/{version}/wrapkey', 'KeyWrap', 'keys/wrap/action', 'wrap'),
    route('POST {name}/unwrapkey', 'KeyUnwrap', 'keys/unwrap/action', 'unwrap'),
    route('POST {name}/{version}/unwrapkey', 'KeyUnwrap', 'keys/unwrap/action', 'unwrap'),
    route('POST {name}/{version}/release', 'KeyRelease', 'keys/release/action'),
    route('PUT {name}/rotationpolicy', 'KeyRotationPolicySet', 'keys/rotationpolicy/write'),
    route('PUT {name}', 'KeyImport', 'keys/import/action'),
    route('PATCH {name}/{version}', 'KeyUpdate', 'keys/update/action'),
    route('DELETE {name}', 'KeyDelete', 'keys/delete'),
  ],
  certificates: [
    route('GET ', 'CertificateList', 'certificates/read', 'certificates'),
    route('GET contacts', 'CertificateContactsGet', 'certificatecontacts/read'),
    route('GET issuers', 'CertificateIssuersList', 'certificatecas/read'),
    route(
      'GET {name}/versions',
      'CertificateListVersions',
      'certificates/read',
      'certificate-versions',
    ),
    route('GET {name}/policy', 'CertificatePolicyGet', 'certificates/read', 'certificate-policy'),
    route('GET {name}/pending', 'CertificatePendingGet', 'certificates/read/pending'),
    route('GET {name}/{version}', 'CertificateGet', 'certificates/read', 'certificate'),
    route('POST {name}/create', 'CertificateCreate', 'certificates/create/action'),
    route('POST {name}/import', 'CertificateImport', 'certificates/import/action'),
    route('POST {name}/backup', 'CertificateBackup', 'certificates/backup/action'),
    route('POST {name}/pending/merge', 'CertificatePendingMerge', 'certificates/merge/action'),
    route('PATCH {name}/policy', 'CertificatePolicyUpdate', 'certificates/update/action'),
    route('PATCH {name}/{version}', 'CertificateUpdate', 'certificates/update/action'),
    route('DELETE {name}', 'CertificateDelete', 'certificates/delete'),
  ],
  secrets: [
    route('GET ', 'SecretList', 'secrets/readMetadata/action'),
    route('GET {name}/versions', 'SecretListVersions', 'secrets/readMetadata/action'),
    route('GET {name}/{version}', 'SecretGet', 'secrets/getSecret/action', 'secret'),
    route('POST {name}/backup', 'SecretBackup', 'secrets/backup/action'),
    route('PUT {name}', 'SecretSet', 'secrets/setSecret/action'),
    route('PATCH {name}/{version}', 'SecretUpdate', 'secrets/update/action'),
    route('DELETE {name}', 'SecretDelete', 'secrets/delete'),
  ],
}

const isCollection = (text: string): text is Collection => Object.hasOwn(routes, text)

/**
 * Undefined for a path that no vault has. Tolerates what real clients send: a slash at the end
 * (`/keys/name/`) and an empty version (`/keys/name//sign`).
 *
 * @param path Undecoded.
 */
export function operationFrom(method: string, path: string): VaultOperation | undefined {
  const [, collection = '', ...segments] = path.split('/').map(decodeSegment)
  if (!isCollection(collection)) return undefined
  for (const candidate of routes[collection]) {
    const matched = candidate.method === method ? matchPath(candidate.path, segments) : undefined
    if (matched === undefined) continue
    const { kind, name, action } = candidate
    return { kind, name, action, collection, ...matched }
  }
  return undefined
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    // A stray percent sign: no object is called that, so it will not be found.
    return segment
  }
}

function matchPath(
  path: string,
  segments: readonly string[],
): { object: string | undefined; version: string | undefined } | undefined {
  const parts = path === '' ? [] : path.split('/')
  const given = segments.at(-1) === '' ? segments.slice(0, -1) : segments
  if (parts.at(-1) === '{version}' && given.length === parts.length - 1) parts.pop()
  if (parts.length !== given.length) return undefined
  let object: string | undefined
  let version: string | undefined
  for (const [i, part] of parts.entries()) {
    const segment = given[i] ?? ''
    if (part === '{name}') object = segment
    else if (part === '{version}') version = segment === '' ? undefined : segment
    else if (part !== segment.toLowerCase()) return undefined
  }
  return object === '' ? undefined : { object, version }
}
