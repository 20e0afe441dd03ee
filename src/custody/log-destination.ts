/** One row of a table: a column that is absent has no value. */
export type LogRow = Readonly<Record<string, unknown>>

/** Where rows are searched and watched by others than the service. */
export interface LogDestination {
  /** Tells it from others, for as long as it is the same place; no secret is in it. */
  readonly name: string
  /** Rows of more bytes than this, as a JSON array, are refused. */
  readonly batchBytesMax: number
  /**
   * Sends the rows in one request: all of them have arrived when it resolves, and none or all when it throws.
   * Nothing is tried twice here.
   *
   * @throws ExportError
   */
  send(rows: readonly LogRow[], stop: AbortSignal): Promise<void>
}

/** One code for each thing that an operator would do differently. */
export type ExportErrorCode =
  | 'EXPORT_CREDENTIAL' // the service's identity gave no token, or none that counts there
  | 'EXPORT_FORBIDDEN' // no role on the rule, or not yet
  | 'EXPORT_RULE_MISSING' // no such rule or stream at this endpoint
  | 'EXPORT_REJECTED' // the rows are not what the rule takes
  | 'EXPORT_TOO_LARGE' // of one row alone
  | 'EXPORT_THROTTLED'
  | 'EXPORT_UNAVAILABLE' // away, or broken: no answer, or 5xx
  | 'EXPORT_TIMEOUT'
  | 'EXPORT_UNRECOGNISED'
  | 'EXPORT_CURSOR_FAILED' // how far it has come cannot be read or kept

/** Rows that were not sent, or may not have been. The cause is for the protected log. */
export class ExportError extends Error {
  override readonly name = 'ExportError'
  readonly code: ExportErrorCode
  /** What the other side asked to wait for; undefined when it did not. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: ExportErrorCode,
    options?: ErrorOptions & { readonly retryAfterMs?: number | undefined },
  ) {
    super(code, options)
    this.code = code
    this.retryAfterMs = options?.retryAfterMs
  }
}

/** Tells the streams of Log Analytics apart, and how far each was told. */
export const nameOfStream = ({
  endpoint,
  rule,
  stream,
}: Readonly<Record<'endpoint' | 'rule' | 'stream', string>>): string =>
  `${endpoint}/dataCollectionRules/${rule}/streams/${stream}`
