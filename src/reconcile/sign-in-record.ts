import { parseIsoTime } from '../base/clock.ts'
import { isObject, type Members } from '../base/json-object.ts'
import { evidenceLengthMax, numberOrDigitsIn, objectIn, present, textIn } from './json-members.ts'
import { timeOfRow } from './table-time.ts'
import type { RowTime } from './table-time.ts'
import type { NotUnderstood } from './vault-record.ts'

/** A service principal signed in, or tried to: one record of Entra, whatever its source. */
export interface SignInRecord {
  readonly kind: 'sign-in'
  /** ISO 8601, as written. */
  readonly time: string
  readonly timeMs: number
  /** Which log it was read in, where `--watch` reads several of its kind. */
  readonly log?: string
  /** Entra's trace id, which its answer carried as `x-ms-request-id`; lower case, empty when absent. */
  readonly id: string
  readonly correlationId: string
  /** Of the token that was issued: its claim `uti`. */
  readonly uti?: string
  /** Client id, lower case. */
  readonly appId: string
  readonly servicePrincipalId?: string
  /** Where the token is for; absent when the source does not tell. */
  readonly tenant?: string
  /** 0: a token was issued; otherwise the number of AADSTS. */
  readonly errorCode: number
  readonly credential: SignInCredential
  readonly ipAddress?: string
  readonly resource?: string
}

/** What the application proved itself with, as far as Entra says. */
export interface SignInCredential {
  /** In the registration. */
  readonly keyId?: string
  /** Of a certificate, as hex in upper case. */
  readonly thumbprint?: string
  /** Of a federated credential. */
  readonly federatedId?: string
}

/**
 * One record, as the value of its JSON or of its row: `AADServicePrincipalSignInLogs`, `signIn` of
 * Microsoft Graph, or the form of a diagnostic setting, which holds the latter under `properties`.
 */
export function signInRecordFrom(value: unknown): SignInRecord | NotUnderstood {
  if (!isObject(value)) return notUnderstood('it is not a JSON object')
  const said = 'AppId' in value ? saidByRow(value) : saidByGraph(value)
  const { time, appId, errorCode } = said
  if (appId === undefined) return notUnderstood('it has no appId')
  if (time === undefined) return notUnderstood('it has no time')
  if (errorCode === undefined) return notUnderstood('it does not say how the sign-in ended')
  return {
    kind: 'sign-in',
    time: time.text,
    timeMs: time.ms,
    id: said.id?.toLowerCase() ?? '',
    correlationId: said.correlationId?.toLowerCase() ?? '',
    ...present('uti', said.uti),
    appId: appId.toLowerCase().slice(0, evidenceLengthMax),
    ...present('servicePrincipalId', said.servicePrincipalId?.toLowerCase()),
    ...present('tenant', said.tenant?.toLowerCase()),
    errorCode,
    credential: {
      ...present('keyId', said.keyId?.toLowerCase()),
      ...present('thumbprint', said.thumbprint?.toUpperCase()),
      ...present('federatedId', said.federatedId?.toLowerCase()),
    },
    ...present('ipAddress', said.ipAddress),
    ...present('resource', said.resource),
  }
}

/** The same facts under the names of one source. */
interface Said {
  readonly time: RowTime | undefined
  readonly id: string | undefined
  readonly correlationId: string | undefined
  readonly uti: string | undefined
  readonly appId: string | undefined
  readonly servicePrincipalId: string | undefined
  readonly tenant: string | undefined
  readonly errorCode: number | undefined
  readonly keyId: string | undefined
  readonly thumbprint: string | undefined
  readonly federatedId: string | undefined
  readonly ipAddress: string | undefined
  readonly resource: string | undefined
}

/** `TenantId` is the workspace's there, not Entra's. */
const saidByRow = (row: Members): Said => ({
  time: timeOfRow(row),
  id: textIn(row, 'Id'),
  correlationId: textIn(row, 'CorrelationId'),
  uti: textIn(row, 'UniqueTokenIdentifier'),
  appId: textIn(row, 'AppId'),
  servicePrincipalId: textIn(row, 'ServicePrincipalId'),
  tenant: textIn(row, 'AADTenantId', 'ResourceTenantId'),
  errorCode: numberOrDigitsIn(row, 'ResultType'),
  keyId: textIn(row, 'ServicePrincipalCredentialKeyId'),
  thumbprint: textIn(row, 'ServicePrincipalCredentialThumbprint'),
  federatedId: textIn(row, 'FederatedCredentialId'),
  ipAddress: textIn(row, 'IPAddress'),
  resource: textIn(row, 'ResourceDisplayName', 'ResourceIdentity'),
})

function saidByGraph(record: Members): Said {
  const signIn = isObject(record['properties']) ? record['properties'] : record
  const text = textIn(signIn, 'createdDateTime') ?? textIn(record, 'time')
  const ms = text === undefined ? undefined : parseIsoTime(text)
  return {
    time: text === undefined || ms === undefined ? undefined : { text, ms },
    id: textIn(signIn, 'id'),
    correlationId: textIn(signIn, 'correlationId') ?? textIn(record, 'correlationId'),
    uti: textIn(signIn, 'uniqueTokenIdentifier'),
    appId: textIn(signIn, 'appId'),
    servicePrincipalId: textIn(signIn, 'servicePrincipalId'),
    tenant: textIn(record, 'tenantId') ?? textIn(signIn, 'resourceTenantId'),
    errorCode:
      numberOrDigitsIn(objectIn(signIn, 'status'), 'errorCode') ??
      numberOrDigitsIn(record, 'resultType'),
    keyId: textIn(signIn, 'servicePrincipalCredentialKeyId'),
    thumbprint: textIn(signIn, 'servicePrincipalCredentialThumbprint'),
    federatedId: textIn(signIn, 'federatedCredentialId'),
    ipAddress: textIn(signIn, 'ipAddress') ?? textIn(record, 'callerIpAddress'),
    resource: textIn(signIn, 'resourceDisplayName', 'resourceId'),
  }
}

const notUnderstood = (why: string): NotUnderstood => ({ kind: 'not-understood', why })
