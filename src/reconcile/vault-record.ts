import { parseIsoTime } from '../base/clock.ts'
import { parseKeyUrl } from './key-name.ts'
import type { KeyVersion } from './key-name.ts'
import { parseSignatureNonce } from './signature-nonce.ts'

/** One record of a vault's audit log, as far as reconcile looks at it. */
export type VaultRecord = SignRecord | OtherRecord

/** `KeySign`: the vault was asked to sign. */
export interface SignRecord {
  readonly kind: 'sign'
  /** As written, with more decimals than {@link timeMs}. */
  readonly time: string
  readonly timeMs: number
  /** The `x-ms-request-id` of the vault's answer, lower case; empty when the record has none. */
  readonly correlationId: string
  /** The verdict: `resultType` says `Success` of refusals too. */
  readonly httpStatusCode: number
  readonly key: KeyVersion
  /** Absent on failures. */
  readonly algorithm?: string
  /** Who asked: object id of the principal and client id; absent when nobody was proven. */
  readonly oid?: string
  readonly appid?: string
  readonly callerIpAddress?: string
  /** User-Agent, cut: whoever asked has chosen it. */
  readonly clientInfo?: string
  /** Of our signer, in the uncut User-Agent. */
  readonly nonce?: string
}

/** Any other operation: shows that the log reaches to its time. */
export interface OtherRecord {
  readonly kind: 'other'
  readonly timeMs: number
  /** Host of the vault, as in {@link KeyVersion}; absent when the record does not tell. */
  readonly vault?: string
}

/** Why a record is not understood. */
export interface NotUnderstood {
  readonly kind: 'not-understood'
  readonly why: string
}

/** Evidence is cut here: a record may hold a whole request header of somebody else's making. */
const evidenceLengthMax = 300

/** One JSON value of a log. */
export function parseVaultRecord(text: string): VaultRecord | NotUnderstood {
  const record = parseObject(text)
  if (record === undefined) return notUnderstood('it is not a JSON object')
  const operationName = textIn(record, 'operationName')
  const time = textIn(record, 'time')
  const timeMs = time === undefined ? undefined : parseIsoTime(time)
  if (operationName === undefined) return notUnderstood('it has no operationName')
  if (time === undefined || timeMs === undefined) return notUnderstood('it has no time')
  return operationName === 'KeySign'
    ? signRecord(record, time, timeMs)
    : otherRecord(record, timeMs)
}

function signRecord(record: Members, time: string, timeMs: number): SignRecord | NotUnderstood {
  const properties = objectIn(record, 'properties')
  const httpStatusCode = numberIn(properties, 'httpStatusCode')
  const key = keyOf(properties)
  if (httpStatusCode === undefined) return notUnderstood('it is a KeySign without httpStatusCode')
  if (key === undefined) return notUnderstood('it is a KeySign without the id of a key')
  const clientInfo = textIn(properties, 'clientInfo')
  return {
    kind: 'sign',
    time,
    timeMs,
    correlationId: textIn(record, 'correlationId')?.toLowerCase() ?? '',
    httpStatusCode,
    key,
    ...present('algorithm', textIn(properties, 'algorithm')),
    ...principalOf(record),
    ...present('callerIpAddress', textIn(record, 'callerIpAddress')),
    ...present('clientInfo', clientInfo),
    ...present('nonce', parseSignatureNonce(clientInfo ?? '')),
  }
}

/** Failed calls may have no `id`; the host in `requestUri` then has a port of the vault's inside. */
function keyOf(properties: Members): KeyVersion | undefined {
  const byId = parseKeyUrl(textIn(properties, 'id') ?? '')
  if (byId !== undefined) return byId
  const byRequest = parseKeyUrl(textIn(properties, 'requestUri') ?? '')
  if (byRequest === undefined) return undefined
  return { ...byRequest, vault: byRequest.vault.replace(/:\d+$/, '') }
}

/** Both spellings of the object id occur. */
function principalOf(record: Members): Pick<SignRecord, 'oid' | 'appid'> {
  const claim = objectIn(objectIn(record, 'identity'), 'claim')
  const longName = 'http://schemas.microsoft.com/identity/claims/objectidentifier'
  return {
    ...present('oid', textIn(claim, 'oid') ?? textIn(claim, longName)),
    ...present('appid', textIn(claim, 'appid')),
  }
}

function otherRecord(record: Members, timeMs: number): OtherRecord {
  const id = textIn(objectIn(record, 'properties'), 'id') ?? ''
  return { kind: 'other', timeMs, ...present('vault', URL.parse(id)?.host) }
}

const notUnderstood = (why: string): NotUnderstood => ({ kind: 'not-understood', why })

type Members = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parseObject(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** No members where there is no object. */
function objectIn(members: Members, name: string): Members {
  const value = members[name]
  return isObject(value) ? value : {}
}

/** Absent and empty say the same in these logs. */
function textIn(members: Members, name: string): string | undefined {
  const value = members[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function numberIn(members: Members, name: string): number | undefined {
  const value = members[name]
  return typeof value === 'number' ? value : undefined
}

function present<Name extends string>(name: Name, value: string | undefined) {
  return (value === undefined ? {} : { [name]: value.slice(0, evidenceLengthMax) }) as {
    readonly [N in Name]?: string
  }
}
