import { isObject } from '../../base/json-object.ts'
import { numberOrDigitsIn, objectIn, textIn } from '../json-members.ts'
import type { LogForm } from '../read-log.ts'
import { timeOfRow } from '../table-time.ts'
import type { NotUnderstood } from '../vault-record.ts'

/** A head of a ledger, as its entry was sent to a workspace: what it is worth, its own signature tells. */
export interface SentHead {
  readonly kind: 'sent-head'
  /** When the row was generated, or arrived if that was long after. */
  readonly timeMs: number
  /** `publicUrl` of whose ledger the row says it is. */
  readonly deployment: string
  /** Of the entry. */
  readonly sequence: number
  /** Compact form. */
  readonly head: string
}

/** Rows of `CountersignLedger_CL` with the kind `head.signed`. */
export const sentHeadForm: LogForm<SentHead> = { recordFrom: sentHeadFrom }

function sentHeadFrom(value: unknown): SentHead | NotUnderstood {
  if (!isObject(value)) return notUnderstood('it is not a JSON object')
  const time = timeOfRow(value)
  const sequence = numberOrDigitsIn(value, 'Sequence')
  const head = textIn(objectIn(value, 'Entry'), 'head')
  if (time === undefined) return notUnderstood('it has no time')
  if (sequence === undefined) return notUnderstood('it has no Sequence')
  if (head === undefined) return notUnderstood('its entry has no head')
  const deployment = textIn(value, 'Deployment') ?? ''
  return { kind: 'sent-head', timeMs: time.ms, deployment, sequence, head }
}

const notUnderstood = (why: string): NotUnderstood => ({ kind: 'not-understood', why })
