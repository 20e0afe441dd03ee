import type { EmulatedReply } from './exchange.ts'
import type { Struck } from './faults.ts'

/** How a service words the two faults that are answers of its own. */
export interface FaultWords {
  throttled(): EmulatedReply
  /** @param status Of managed identities 404 and 410 too, which pass by themselves there. */
  serverError(status: number): EmulatedReply
}

/** What a struck request gets instead of being served; undefined where it is served all the same. */
export function replyInstead(
  fault: Struck | undefined,
  words: FaultWords,
): EmulatedReply | undefined {
  if (fault?.kind === 'throttle') return words.throttled()
  if (fault?.kind === 'server-error') return words.serverError(fault.status)
  if (fault?.kind === 'drop-before') return { kind: 'drop' }
  return undefined
}

/** What becomes of the reply to a request that was served, struck or not. */
export function replyAfter(
  fault: Struck | undefined,
  words: Pick<FaultWords, 'serverError'>,
  reply: EmulatedReply,
): EmulatedReply {
  if (fault?.kind === 'server-error-after') return words.serverError(fault.status)
  if (fault?.kind === 'delay') return { ...reply, delayMs: fault.delayMs, undelayed: fault.cleared }
  if (fault?.kind === 'drop-after') return { kind: 'drop' }
  if (fault?.kind === 'malformed' && reply.kind === 'answer') {
    return { ...reply, status: 200, body: firstHalf(reply.body) }
  }
  return reply
}

const firstHalf = (body: Buffer) => body.subarray(0, body.length / 2)
