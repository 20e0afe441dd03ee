import { RequestProblem } from './request-problem.ts'

/** What OAuth tells apart of token requests that cannot be answered (RFC 6749 §5.2, RFC 8707 §2). */
export type TokenRequestFault =
  /** It proves its caller in a way that is not taken, such as by a secret or in `Authorization`. */
  | 'credential_refused'
  /** `client_id` cannot be that of any client here. */
  | 'client_invalid'
  | 'grant_type_unsupported'
  | 'scope_invalid'
  | 'target_invalid'
  | 'tenant_invalid'
  /** An authority that is not this service. */
  | 'instance_invalid'

/** A token request that is understood and names what there cannot be, whoever sends it. */
export class TokenRequestProblem extends RequestProblem {
  readonly fault: TokenRequestFault
  /** Where `Authorization` was used: what answers it in `WWW-Authenticate`. */
  readonly challenge: string | undefined

  /** @param detail ASCII without quotation marks and backslashes (RFC 6749 §5.2). */
  constructor(fault: TokenRequestFault, detail: string, challenge?: string) {
    super('request_invalid', detail)
    this.fault = fault
    this.challenge = challenge
  }
}
