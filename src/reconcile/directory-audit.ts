import { parseIsoTime } from '../base/clock.ts'
import { isObject, type Members } from '../base/json-object.ts'
import { evidenceLengthMax, listIn, objectIn, present, textIn } from './json-members.ts'
import { timeOfRow } from './table-time.ts'
import type { RowTime } from './table-time.ts'
import type { NotUnderstood } from './vault-record.ts'

/** Somebody changed something in a tenant's directory: one record of Entra, whatever its source. */
export interface DirectoryAudit {
  readonly kind: 'directory-audit'
  /** ISO 8601, as written. */
  readonly time: string
  readonly timeMs: number
  /** Which log it was read in, where `--watch` reads several of its kind. */
  readonly log?: string
  /** Lower case, empty when absent. */
  readonly id: string
  readonly correlationId: string
  /** Such as `Update application – Certificates and secrets management`; cut. */
  readonly activity: string
  /** `success`, or another word; absent when the source does not tell. */
  readonly result?: string
  readonly tenant?: string
  readonly initiator: Initiator
  /** The first of them: no change has so many. */
  readonly targets: readonly ChangedTarget[]
}

/** A person or an application, by whatever names there are. */
export interface Initiator {
  readonly userId?: string
  readonly userName?: string
  readonly appId?: string
  readonly servicePrincipalId?: string
  readonly appName?: string
  readonly ipAddress?: string
}

export interface ChangedTarget {
  /** Object id, lower case. */
  readonly id?: string
  readonly name?: string
  /** `Application`, `ServicePrincipal`, … */
  readonly type?: string
  /** Client id, where the record tells it. */
  readonly appId?: string
  readonly changes: readonly PropertyChange[]
}

/** A property before and after, as JSON in a text; cut. */
export interface PropertyChange {
  readonly name: string
  readonly before?: string
  readonly after?: string
}

const targetsMax = 10
const changesMax = 50

/**
 * One record, as the value of its JSON or of its row: `AuditLogs`, `directoryAudit` of Microsoft Graph,
 * or the form of a diagnostic setting, which holds the latter under `properties`.
 */
export function directoryAuditFrom(value: unknown): DirectoryAudit | NotUnderstood {
  if (!isObject(value)) return notUnderstood('it is not a JSON object')
  const said = isRow(value) ? saidByRow(value) : saidByGraph(value)
  const { time, activity } = said
  if (activity === undefined) return notUnderstood('it does not say what was done')
  if (time === undefined) return notUnderstood('it has no time')
  return {
    kind: 'directory-audit',
    time: time.text,
    timeMs: time.ms,
    id: said.id?.toLowerCase() ?? '',
    correlationId: said.correlationId?.toLowerCase() ?? '',
    activity: activity.trim().slice(0, evidenceLengthMax),
    ...present('result', said.result?.toLowerCase()),
    ...present('tenant', said.tenant?.toLowerCase()),
    initiator: initiatorFrom(said.initiatedBy),
    targets: targetsFrom(said),
  }
}

/** The same facts under the names of one source. */
interface Said {
  readonly time: RowTime | undefined
  readonly id: string | undefined
  readonly correlationId: string | undefined
  readonly activity: string | undefined
  readonly result: string | undefined
  readonly tenant: string | undefined
  readonly initiatedBy: Members
  readonly targets: readonly unknown[]
  readonly details: readonly unknown[]
}

const isRow = (value: Members): boolean =>
  'OperationName' in value || 'ActivityDisplayName' in value

/** `TenantId` is the workspace's there, not Entra's. */
const saidByRow = (row: Members): Said => ({
  time: timeOfRow(row),
  id: textIn(row, 'Id'),
  correlationId: textIn(row, 'CorrelationId'),
  activity: textIn(row, 'ActivityDisplayName', 'OperationName'),
  result: textIn(row, 'Result'),
  tenant: textIn(row, 'AADTenantId'),
  initiatedBy: objectIn(row, 'InitiatedBy'),
  targets: listIn(row, 'TargetResources'),
  details: listIn(row, 'AdditionalDetails'),
})

function saidByGraph(record: Members): Said {
  const audit = isObject(record['properties']) ? record['properties'] : record
  const text = textIn(audit, 'activityDateTime') ?? textIn(record, 'time')
  const ms = text === undefined ? undefined : parseIsoTime(text)
  return {
    time: text === undefined || ms === undefined ? undefined : { text, ms },
    id: textIn(audit, 'id'),
    correlationId: textIn(audit, 'correlationId') ?? textIn(record, 'correlationId'),
    activity: textIn(audit, 'activityDisplayName') ?? textIn(record, 'operationName'),
    result: textIn(audit, 'result'),
    tenant: textIn(record, 'tenantId'),
    initiatedBy: objectIn(audit, 'initiatedBy'),
    targets: listIn(audit, 'targetResources'),
    details: listIn(audit, 'additionalDetails'),
  }
}

function initiatorFrom(initiatedBy: Members): Initiator {
  const user = objectIn(initiatedBy, 'user')
  const app = objectIn(initiatedBy, 'app')
  return {
    ...present('userId', textIn(user, 'id')?.toLowerCase()),
    ...present('userName', textIn(user, 'userPrincipalName', 'displayName')),
    ...present('appId', textIn(app, 'appId')?.toLowerCase()),
    ...present('servicePrincipalId', textIn(app, 'servicePrincipalId')?.toLowerCase()),
    ...present('appName', textIn(app, 'displayName')),
    ...present('ipAddress', textIn(user, 'ipAddress')),
  }
}

function targetsFrom({ targets, details }: Said): readonly ChangedTarget[] {
  const appId = details
    .filter(isObject)
    .filter((detail) => textIn(detail, 'key')?.toLowerCase() === 'appid')
    .map((detail) => textIn(detail, 'value')?.toLowerCase())[0]
  return targets
    .filter(isObject)
    .slice(0, targetsMax)
    .map((target) => ({
      ...present('id', textIn(target, 'id')?.toLowerCase()),
      ...present('name', textIn(target, 'displayName')),
      ...present('type', textIn(target, 'type')),
      ...present('appId', appId),
      changes: listIn(target, 'modifiedProperties')
        .filter(isObject)
        .slice(0, changesMax)
        .map(changeFrom),
    }))
}

/** Keys and owners of one application, and more than that is not shown. */
const changeLengthMax = 4000

function changeFrom(property: Members): PropertyChange {
  const before = textIn(property, 'oldValue')?.slice(0, changeLengthMax)
  const after = textIn(property, 'newValue')?.slice(0, changeLengthMax)
  return {
    name: textIn(property, 'displayName')?.slice(0, evidenceLengthMax) ?? '',
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  }
}

const notUnderstood = (why: string): NotUnderstood => ({ kind: 'not-understood', why })
