/** What can be wrong with a request before anybody asks who sent it. */
export type RequestProblemCode =
  | 'request_invalid'
  | 'body_too_large'
  | 'media_type_unsupported'
  | 'not_found'
  | 'method_not_allowed'
  | 'cross_site'

/**
 * A request that cannot be understood. `detail` names the member or rule and what to do; it never
 * repeats what was sent.
 */
export class RequestProblem extends Error {
  override readonly name = 'RequestProblem'
  readonly code: RequestProblemCode
  readonly detail: string
  /** For `method_not_allowed` (RFC 9110 §10.2.1). */
  readonly allow: string | undefined

  constructor(code: RequestProblemCode, detail: string, allow?: string) {
    super(code)
    this.code = code
    this.detail = detail
    this.allow = allow
  }
}
