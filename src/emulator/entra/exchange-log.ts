import { createHash } from 'node:crypto'
import type { Fault } from '../faults.ts'
import type { AadstsCode } from './refusal.ts'

/** What the token endpoint remembers of one request: never the assertion, never the token. */
export interface ExchangeRecord {
  /** ISO 8601. */
  readonly time: string
  /** As the path names it. */
  readonly tenant: string
  /** This and the next two are undefined where the form did not get so far as to be understood. */
  readonly clientId: string | undefined
  readonly scope: string | undefined
  /** Hex SHA-256 of the compact assertion. */
  readonly assertionSha256: string | undefined
  readonly outcome:
    | {
        readonly kind: 'issued'
        readonly uti: string
        readonly accessTokenSha256: string
        /** The one that verified the assertion: base64url SHA-256 of its DER; absent: an issuer's key did. */
        readonly certificate?: string
        /** `iss` of the token that stood for the client; absent: it had an assertion of its own. */
        readonly federatedIssuer?: string
      }
    | { readonly kind: 'refused'; readonly code: AadstsCode }
    /** Struck by a fault before anything was looked at. */
    | { readonly kind: 'not-served' }
  /** The fault that struck; with `issued` it may have kept the token from the client. */
  readonly fault: Fault['kind'] | undefined
  /** Also the answer's `x-ms-request-id`. */
  readonly traceId: string
  readonly correlationId: string
  /** As sent by the client, if it was a GUID. */
  readonly clientRequestId: string | undefined
}

export interface ExchangeLog {
  add(record: ExchangeRecord): void
  /** Oldest first; the latest ten thousand. */
  records(): readonly ExchangeRecord[]
  clear(): void
}

const recordsMax = 10_000

export function createExchangeLog(): ExchangeLog {
  let records: ExchangeRecord[] = []
  return {
    add: (record) => {
      records.push(record)
      // Twice the bound before cutting, so that an endless run does not copy the list at each request.
      if (records.length >= 2 * recordsMax) records = records.slice(-recordsMax)
    },
    records: () => records.slice(-recordsMax),
    clear: () => {
      records = []
    },
  }
}

export const sha256Hex = (text: string) => createHash('sha256').update(text).digest('hex')
