import type { ServiceError } from './countersign-service.ts'

/** Why a program does not get what it asks the agent for. */
export type AgentRefusal =
  /** It is not among those that the agent's file names. */
  | { readonly reason: 'resource_unknown' }
  /** It named an identity that the agent does not have for the resource. */
  | { readonly reason: 'identity_unknown' }
  | { readonly reason: 'service_failed'; readonly error: ServiceError }

/** What a shape says in its own form. */
export interface RefusalWords {
  readonly status: 400 | 403 | 429 | 502 | 503
  /** One sentence for whoever runs the program; nothing of it is anybody's secret. */
  readonly message: string
  readonly retryAfterSeconds?: number
}

/** Azure's clients ask again after 429 and 503, and after nothing else of these. */
export function wordsOf(refusal: AgentRefusal): RefusalWords {
  switch (refusal.reason) {
    case 'resource_unknown':
      return {
        status: 400,
        message: "The resource is none of those in the agent's file: name it under resources.",
      }
    case 'identity_unknown':
      return {
        status: 400,
        message:
          "Identity not found: the agent's file names no such clientId for the resource, or none at all.",
      }
    case 'service_failed':
      return wordsOfFailure(refusal.error)
  }
}

function wordsOfFailure({ code, told, retryAfterSeconds }: ServiceError): RefusalWords {
  const again = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  const attempt = told?.attempt === undefined ? '' : ` Attempt ${told.attempt}.`
  const problem = told?.code === undefined ? '' : ` (${told.code})`
  switch (code) {
    case 'SERVICE_REFUSED':
      return {
        status: 403,
        message: `Countersign does not allow this workload what it asks for${problem}.${attempt}`,
      }
    case 'SERVICE_CALLER_REFUSED':
      return {
        status: 403,
        message: `Countersign does not take the workload's own identity for proven${problem}.${attempt}`,
      }
    case 'SERVICE_ENTRA_REFUSED':
      return { status: 403, message: `Entra refuses the application${problem}.${attempt}` }
    case 'SERVICE_THROTTLED':
      return {
        status: 429,
        message: `Countersign asks to be asked less often${problem}.${attempt}`,
        ...again,
      }
    case 'SERVICE_BUSY':
      return {
        status: 503,
        message: `Countersign cannot answer for now${problem}.${attempt}`,
        ...again,
      }
    case 'SERVICE_UNREACHABLE':
    case 'SERVICE_TIMEOUT':
      return { status: 503, message: 'Countersign does not answer.', ...again }
    case 'SERVICE_MALFORMED':
      return { status: 502, message: 'What answers is not Countersign, or not as it should be.' }
    case 'WORKLOAD_IDENTITY_UNAVAILABLE':
      return {
        status: 503,
        message: "The workload's own identity cannot be had: the agent's log says why.",
      }
  }
}
