import { parseIsoTime } from '../base/clock.ts'
import { isObject, type Members } from '../base/json-object.ts'
import { numberIn, numberOrDigitsIn, objectIn, present, textIn } from './json-members.ts'
import { parseKeyUrl, parseObjectUrl, withoutPort } from './key-name.ts'
import type { KeyVersion, VaultObject } from './key-name.ts'
import { parseSignatureNonce } from './signature-nonce.ts'
import { timeOfRow } from './table-time.ts'
import type { RowTime } from './table-time.ts'

/** One record of a vault's audit log, as far as reconcile looks at it: the same from whatever source. */
export type VaultRecord = SignRecord | OtherRecord

/** What records of every operation say. */
interface RecordFacts {
  /** ISO 8601, as written, with more decimals than {@link timeMs} where the source has them. */
  readonly time: string
  readonly timeMs: number
  /** Which log it was read in, where `--watch` reads several of its kind. */
  readonly log?: string
  /** The `x-ms-request-id` of the vault's answer, lower case; empty when the record has none. */
  readonly correlationId: string
  /** Who asked: object id of the principal and client id; absent when nobody was proven. */
  readonly oid?: string
  readonly appid?: string
  readonly callerIpAddress?: string
  /** User-Agent, cut: whoever asked has chosen it. */
  readonly clientInfo?: string
}

/** `KeySign`: the vault was asked to sign. */
export interface SignRecord extends RecordFacts {
  readonly kind: 'sign'
  /** The verdict: `resultType` says `Success` of refusals too. */
  readonly httpStatusCode: number
  readonly key: KeyVersion
  /** Absent on failures. */
  readonly algorithm?: string
  /** Of our signer, in the uncut User-Agent. */
  readonly nonce?: string
}

/** Any other operation: shows that the log reaches to its time, and what was done to a key. */
export interface OtherRecord extends RecordFacts {
  readonly kind: 'other'
  /** Such as `SecretGet`; cut. */
  readonly operationName: string
  /** Absent when the record does not tell. */
  readonly httpStatusCode?: number
  /** Host of the vault, as in {@link KeyVersion}, or its name alone; absent when the record does not tell. */
  readonly vault?: string
  /** Absent when it is not about a key, certificate or secret of a name. */
  readonly object?: VaultObject
}

/** Why a record is not understood. */
export interface NotUnderstood {
  readonly kind: 'not-understood'
  readonly why: string
}

/**
 * One record, as the value of its JSON or of its row: in the form of a storage account and of Event Hubs,
 * of Managed HSM, of the tables `AZKVAuditLogs` and `AzureDiagnostics` in Log Analytics.
 */
export function vaultRecordFrom(value: unknown): VaultRecord | NotUnderstood {
  if (!isObject(value)) return notUnderstood('it is not a JSON object')
  const said = isRow(value) ? saidByRow(value) : saidByRecord(value)
  const { operationName, time } = said
  if (operationName === undefined) return notUnderstood('it has no operationName')
  if (time === undefined) return notUnderstood('it has no time')
  const facts = factsFrom(said, time)
  return operationName === 'KeySign'
    ? signRecord(facts, said)
    : otherRecord(facts, operationName, said)
}

/** The same facts under the names of one source. */
interface Said {
  readonly operationName: string | undefined
  readonly time: RowTime | undefined
  readonly correlationId: string | undefined
  readonly httpStatusCode: number | undefined
  readonly id: string | undefined
  readonly requestUri: string | undefined
  readonly algorithm: string | undefined
  readonly clientInfo: string | undefined
  readonly callerIpAddress: string | undefined
  readonly oid: string | undefined
  readonly appid: string | undefined
}

/** Where a record says what is another in every one. */
export interface TellingMembers {
  readonly time: string
  readonly correlationId: string
  readonly clientInfo: string
  /** Of which nothing is kept. */
  readonly duration: string
}

/** By paths, as in a `Mould`: the facts of these names come from there alone, unless they are empty. */
export function tellingMembersOf(record: Members): TellingMembers {
  if (!isRow(record)) {
    const isInside = textIn(objectIn(record, 'properties'), 'clientInfo') !== undefined
    const clientInfo = isInside ? 'properties/clientInfo' : 'clientInfo'
    return { time: 'time', correlationId: 'correlationId', clientInfo, duration: 'durationMs' }
  }
  return {
    time: 'TimeGenerated',
    correlationId: 'CorrelationId',
    clientInfo: isWide(record) ? 'clientInfo_s' : 'ClientInfo',
    duration: 'DurationMs',
  }
}

/** Both spellings of the object id occur. */
const longObjectId = 'http://schemas.microsoft.com/identity/claims/objectidentifier'

/**
 * Vaults have what is said of the request under `properties`, Managed HSM beside it; there `identity` is
 * text, and `properties` tells of the pool alone.
 */
function saidByRecord(record: Members): Said {
  const properties = objectIn(record, 'properties')
  const claim = objectIn(objectIn(record, 'identity'), 'claim')
  const text = (name: string) => textIn(properties, name) ?? textIn(record, name)
  const time = textIn(record, 'time')
  const timeMs = time === undefined ? undefined : parseIsoTime(time)
  return {
    operationName: textIn(record, 'operationName'),
    time: time === undefined || timeMs === undefined ? undefined : { text: time, ms: timeMs },
    correlationId: textIn(record, 'correlationId'),
    httpStatusCode: numberIn(properties, 'httpStatusCode') ?? numberIn(record, 'httpStatusCode'),
    id: text('id'),
    requestUri: text('requestUri'),
    algorithm: text('algorithm'),
    clientInfo: text('clientInfo'),
    callerIpAddress: textIn(record, 'callerIpAddress'),
    oid: textIn(claim, 'oid', longObjectId),
    appid: textIn(claim, 'appid'),
  }
}

const isRow = (value: Members): boolean => 'OperationName' in value

const isWide = (row: Members): boolean => 'httpStatusCode_d' in row || 'requestUri_s' in row

const saidByRow = (row: Members): Said => (isWide(row) ? saidByWideRow(row) : saidByAuditRow(row))

/** `AZKVAuditLogs`: one column for each fact; claims are in one of their own. */
function saidByAuditRow(row: Members): Said {
  const claim = objectIn(objectIn(row, 'Identity'), 'claim')
  return {
    operationName: textIn(row, 'OperationName'),
    time: timeOfRow(row),
    correlationId: textIn(row, 'CorrelationId'),
    httpStatusCode: numberOrDigitsIn(row, 'HttpStatusCode'),
    id: textIn(row, 'Id'),
    requestUri: textIn(row, 'RequestUri'),
    algorithm: textIn(row, 'Algorithm'),
    clientInfo: textIn(row, 'ClientInfo'),
    callerIpAddress: textIn(row, 'CallerIpAddress'),
    oid: textIn(claim, 'oid', longObjectId),
    appid: textIn(claim, 'appid'),
  }
}

const longObjectIdColumn =
  'identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier'

/** `AzureDiagnostics`: the columns of all services, each with its type behind its name. */
function saidByWideRow(row: Members): Said {
  // Whether Azure took a text for a GUID depends on the first that it saw.
  const text = (...names: readonly string[]) =>
    textIn(row, ...names.flatMap((name) => [`${name}_s`, `${name}_g`]))
  return {
    operationName: textIn(row, 'OperationName'),
    time: timeOfRow(row),
    correlationId: textIn(row, 'CorrelationId'),
    httpStatusCode: numberOrDigitsIn(row, 'httpStatusCode_d'),
    id: text('id'),
    requestUri: text('requestUri'),
    algorithm: text('algorithm', 'properties_algorithm'),
    clientInfo: text('clientInfo'),
    callerIpAddress: textIn(row, 'CallerIPAddress'),
    oid: text('identity_claim_oid', longObjectIdColumn),
    appid: text('identity_claim_appid'),
  }
}

const factsFrom = (said: Said, time: RowTime): RecordFacts => ({
  time: time.text,
  timeMs: time.ms,
  correlationId: said.correlationId?.toLowerCase() ?? '',
  ...present('oid', said.oid?.toLowerCase()),
  ...present('appid', said.appid?.toLowerCase()),
  ...present('callerIpAddress', said.callerIpAddress),
  ...present('clientInfo', said.clientInfo),
})

function signRecord(facts: RecordFacts, said: Said): SignRecord | NotUnderstood {
  const { httpStatusCode } = said
  const key = keyOf(said)
  if (httpStatusCode === undefined) return notUnderstood('it is a KeySign without httpStatusCode')
  if (key === undefined) return notUnderstood('it is a KeySign without the id of a key')
  return {
    kind: 'sign',
    ...facts,
    httpStatusCode,
    key,
    ...present('algorithm', said.algorithm),
    ...present('nonce', parseSignatureNonce(said.clientInfo ?? '')),
  }
}

/** Failed calls may have no `id`; the host in `requestUri` then has a port of the vault's inside. */
function keyOf({ id, requestUri }: Said): KeyVersion | undefined {
  const byId = parseKeyUrl(id ?? '')
  if (byId !== undefined) return byId
  const byRequest = parseKeyUrl(requestUri ?? '')
  return byRequest === undefined ? undefined : withoutPort(byRequest)
}

function otherRecord(facts: RecordFacts, operationName: string, said: Said): OtherRecord {
  const { id = '', requestUri = '', httpStatusCode } = said
  const byRequest = parseObjectUrl(requestUri)
  const object = parseObjectUrl(id) ?? (byRequest && withoutPort(byRequest))
  const vault = object?.vault ?? vaultIn(id) ?? vaultIn(requestUri)
  return {
    kind: 'other',
    ...facts,
    operationName: operationName.slice(0, operationNameLengthMax),
    ...(httpStatusCode === undefined ? {} : { httpStatusCode }),
    ...present('vault', vault),
    ...(object === undefined ? {} : { object }),
  }
}

/** What is done through Azure Resource Manager names the vault in its path, without the host. */
const managedPath = /\/(?:vaults|managedhsms)\/([0-9a-z-]{3,24})(?:[/?]|$)/i

function vaultIn(text: string): string | undefined {
  return managedPath.exec(text)?.[1]?.toLowerCase() ?? URL.parse(text)?.hostname
}

/** The longest of Azure's has 50. */
const operationNameLengthMax = 100

const notUnderstood = (why: string): NotUnderstood => ({ kind: 'not-understood', why })
