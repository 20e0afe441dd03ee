/** A refusal in Key Vault's words. Where the wording is not proven, the comment beside it says so. */
export interface VaultError {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly innerCode?: string
}

const vaultError = (
  status: VaultError['status'],
  code: string,
  message: string,
  innerCode = '',
): VaultError => ({ status, code, message, ...(innerCode === '' ? {} : { innerCode }) })

export const errorBody = ({ code, message, innerCode }: VaultError) => ({
  error: { code, message, ...(innerCode === undefined ? {} : { innererror: { code: innerCode } }) },
})

const badParameter = (message: string) => vaultError(400, 'BadParameter', message)
const forbidden = (message: string, innerCode: string) =>
  vaultError(403, 'Forbidden', message, innerCode)

// 401: texts proven for a missing token and for a wrong audience; the others are recalled.

const unauthorized = (message: string) => vaultError(401, 'Unauthorized', message)

export const tokenMissing = unauthorized('AKV10000: Request is missing a Bearer or PoP token.')

export const tokenAudience = (expected: string, found: string) =>
  unauthorized(`AKV10022: Invalid audience. Expected ${expected}, found: ${found}.`)

export const tokenIssuer = (expected: string, found: string) =>
  unauthorized(`AKV10032: Invalid issuer. Expected one of ${expected}, found ${found}.`)

export const tokenMalformed = unauthorized(
  'AKV10001: The Bearer token is not a well-formed JSON Web Token.',
)

export const tokenSignature = unauthorized(
  'AKV10046: Unable to resolve the key used for signature validation.',
)

export const tokenExpired = unauthorized(
  '[TokenExpired] Error validating token: the token has expired.',
)

export const tokenNotYetValid = unauthorized(
  '[TokenNotYetValid] Error validating token: the token is not yet valid.',
)

// 400: proven for the length of a digest; the other texts are not.

export const apiVersionMissing = badParameter('The api-version query parameter is required.')

export const apiVersionUnknown = (given: string, latest: string) =>
  badParameter(
    `The specified version (${given}) is not recognized. Consider using the latest supported version (${latest}).`,
  )

export const bodyMalformed = badParameter('The request body is not a valid JSON object.')

export const propertyInvalid = (name: string) => badParameter(`Property '${name}' is invalid.`)

export const digestLength = (
  property: 'value' | 'digest',
  given: number,
  algorithm: string,
  required: number,
) =>
  badParameter(
    `Invalid length of '${property}': ${given} bytes. ${algorithm} requires ${required} bytes, encoded with base64url.`,
  )

export const algorithmUnfit = (keyId: string, keyType: string, algorithm: string) =>
  badParameter(
    `Key and signing algorithm are incompatible. Key ${keyId} is of type '${keyType}', and algorithm '${algorithm}' can not be used with it.`,
  )

export const encryptionAlgorithmUnfit = (keyId: string, keyType: string, algorithm: string) =>
  badParameter(
    `Key and encryption algorithm are incompatible. Key ${keyId} is of type '${keyType}', and algorithm '${algorithm}' can not be used with it.`,
  )

export const plaintextLength = (given: number, algorithm: string, most: number) =>
  badParameter(
    `Invalid length of 'value': ${given} bytes. ${algorithm} takes at most ${most} bytes with this key.`,
  )

/** Proven: MicrosoftDocs/azure-docs#39976. */
export const paddingWrong = badParameter('Error occurred while decoding OAEP padding.')

// 403: the messages for a disabled key and for a key that lacks the operation are proven; the others
// follow their pattern.

export const keyDisabled = (operation: string, innerCode: string) =>
  forbidden(`Operation ${operation} is not allowed on a disabled key.`, innerCode)

export const keyExpired = (operation: string, innerCode: string) =>
  forbidden(`Operation ${operation} is not allowed on an expired key.`, innerCode)

export const keyNotYetValid = (operation: string, innerCode: string) =>
  forbidden(`Operation ${operation} is not allowed on a key that is not yet valid.`, innerCode)

export const keyOperationMissing = (operation: string, innerCode: string) =>
  forbidden(`Operation ${operation} is not permitted on this key.`, innerCode)

export const secretDisabled = forbidden(
  'Operation get is not allowed on a disabled secret.',
  'SecretDisabled',
)

/** Not a wording of Azure: see the switch `nonExportableSecret`. */
export const secretNotExportable = forbidden(
  'Operation get is not allowed on the secret of a certificate whose key is not exportable.',
  'KeyNotExportable',
)

const denialLines = (caller: string, action: string, resource: string, vault: string) => [
  'Caller is not authorized to perform action on resource.',
  'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
  `Caller: ${caller}`,
  `Action: '${action}'`,
  `Resource: '${resource}'`,
  'Assignment: (not found)',
  'DenyAssignmentId: null',
  // The space at the end is Azure's.
  "DecisionReason: 'DeniedWithNoValidRBAC' ",
  `Vault: ${vault}`,
]

/**
 * @param denied `caller` as `appid=…;oid=…;iss=…`, `action` and `resource` as Azure Resource Manager
 *   spells them, `vault` as `name;location=…`.
 */
export const deniedByRbac = (denied: {
  readonly caller: string
  readonly action: string
  readonly resource: string
  readonly vault: string
}) =>
  forbidden(
    denialLines(denied.caller, denied.action, denied.resource, denied.vault).join('\r\n'),
    'ForbiddenByRbac',
  )

/** Proven: MicrosoftDocs/azure-docs#97977, whose log shows it for `keys sign`. */
export const deniedByPolicy = ({
  caller,
  vault,
  permission,
}: WhoAskedWhom & { readonly permission: string }) =>
  forbidden(
    `The user, group or application '${caller}' does not have ${permission} permission on key vault '${vault}'. ` +
      'For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287',
    'ForbiddenByPolicy',
  )

/** What a refusal says of who asked, and of whom. */
interface WhoAskedWhom {
  /** `appid=…;oid=…;iss=…`. */
  readonly caller: string
  /** `name;location=…`. */
  readonly vault: string
}

export const deniedByFirewall = ({ caller, vault }: WhoAskedWhom, address: string) =>
  forbidden(
    [
      'Client address is not authorized and caller is not a trusted service.',
      `Client address: ${address}`,
      `Caller: ${caller}`,
      `Vault: ${vault}`,
    ].join('\r\n'),
    'ForbiddenByFirewall',
  )

export const deniedByConnection = ({ caller, vault }: WhoAskedWhom) =>
  forbidden(
    [
      'Public network access is disabled and request is not from a trusted service nor via an approved private link.',
      `Caller: ${caller}`,
      `Vault: ${vault}`,
    ].join('\r\n'),
    'ForbiddenByConnection',
  )

// 404

const kinds = { keys: 'Key', certificates: 'Certificate', secrets: 'Secret' } as const

export function objectNotFound(collection: keyof typeof kinds, object: string): VaultError {
  const kind = kinds[collection]
  return vaultError(
    404,
    `${kind}NotFound`,
    `A ${kind.toLowerCase()} with (name/id) ${object} was not found in this key vault. ` +
      `If you recently deleted this ${kind.toLowerCase()} you may be able to recover it using the correct recovery command. ` +
      'For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182',
  )
}

/** Not a wording of Azure. */
export const routeUnknown = (method: string, path: string) =>
  vaultError(404, 'NotFound', `The emulated vault has no operation ${method} ${path}.`)

// 429 and 5xx: the bodies of 5xx are not proven.

export const throttled = vaultError(
  429,
  'Throttled',
  'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
)

export const serverError = (status: number) =>
  status === 503
    ? vaultError(503, 'ServiceUnavailable', 'The service is unavailable.')
    : vaultError(status, 'InternalServerError', 'An error occurred while processing the request.')
