/** One code for each thing that somebody would do differently. */
export type CountersignErrorCode =
  | 'CALLER_TOKEN_UNAVAILABLE'
  | 'SERVICE_CALLER_REFUSED'
  | 'SERVICE_REFUSED'
  | 'SERVICE_THROTTLED'
  | 'SERVICE_BUSY'
  | 'SERVICE_UNREACHABLE'
  | 'SERVICE_TIMEOUT'
  | 'SERVICE_MALFORMED'

const remedies: Readonly<Record<CountersignErrorCode, string>> = {
  CALLER_TOKEN_UNAVAILABLE: 'there is no caller token to show: check what callerToken names',
  SERVICE_CALLER_REFUSED:
    'the caller token was not accepted: it must be unexpired, and issued for the service',
  SERVICE_REFUSED:
    'the service refuses this: a grant must give this caller assertions of the application for the tenant',
  SERVICE_THROTTLED: 'too much was asked: wait, and ask less often',
  SERVICE_BUSY: 'the service cannot answer for now: ask again later',
  SERVICE_UNREACHABLE:
    'no answer came: check the URL of the service and the network, and NODE_EXTRA_CA_CERTS where its CA is private',
  SERVICE_TIMEOUT: 'no answer came in time: ask again later',
  SERVICE_MALFORMED: 'something else than Countersign answered: check the URL of the service',
}

/** What is known of one failure. Absent is what nobody said. */
export interface CountersignErrorFacts {
  /** A code of the service's, of its openapi.yaml: `not_granted`. */
  readonly problem?: string | undefined
  /** What the operator of the service finds the reason by. */
  readonly attempt?: string | undefined
  /** How long the service asks to be left alone. Nothing here waits: that is for the program to do. */
  readonly retryAfterSeconds?: number | undefined
  /** Of the system or TLS: `ENOENT`, `ECONNREFUSED`. */
  readonly systemCode?: string | undefined
}

/**
 * Why there is no assertion. The message says what to do. Neither it nor any field holds a token, and there is
 * no `cause`: programs log errors whole.
 */
export class CountersignError extends Error implements CountersignErrorFacts {
  override readonly name = 'CountersignError'
  readonly code: CountersignErrorCode
  readonly problem: string | undefined
  readonly attempt: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly systemCode: string | undefined

  constructor(code: CountersignErrorCode, facts: CountersignErrorFacts = {}) {
    super(`${code}: ${remedies[code]}${factsText(facts)}`)
    this.code = code
    this.problem = facts.problem
    this.attempt = facts.attempt
    this.retryAfterSeconds = facts.retryAfterSeconds
    this.systemCode = facts.systemCode
  }
}

function factsText({ problem, attempt, retryAfterSeconds, systemCode }: CountersignErrorFacts) {
  const facts = [
    problem,
    systemCode,
    attempt === undefined ? undefined : `attempt ${attempt}`,
    retryAfterSeconds === undefined ? undefined : `again in ${retryAfterSeconds} s`,
  ].filter((fact) => fact !== undefined)
  return facts.length === 0 ? '' : ` (${facts.join(', ')})`
}
