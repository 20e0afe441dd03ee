import { z } from 'zod'
import type { SeededRandom } from './random.ts'

/**
 * What can go wrong, and where. Pairs differ in whether the thing was done: `drop-before` and
 * `drop-after`, `server-error` and `server-error-after` look the same to the client, and only the
 * vault's log can tell them apart.
 */
export const faultSchema = z.strictObject({
  /** The emulated service it strikes. */
  at: z.enum(['vault', 'token-endpoint', 'jwks', 'managed-identity', 'issuer', 'monitor']),
  kind: z.enum([
    'throttle', // 429; from a vault without Retry-After, as the real one
    'server-error', // 5xx, nothing done
    'server-error-after', // done (signed, token minted), the same 5xx all the same
    'not-found', // managed identity: 404 of an endpoint that is being updated, nothing done
    'gone', // managed identity: 410 of one that is away for up to 70 s, nothing done
    'delay', // done, answered late
    'drop-before', // connection closed, nothing done
    'drop-after', // done (signed, token minted), connection closed without an answer
    'wrong-signature', // vault: 200 with a signature that does not verify, or another value with a bit wrong
    'wrong-key-id', // vault: 200 whose kid names another version
    'malformed', // 200 with a body that is not what it should be
    'partial', // queries of Log Analytics: 200 with half of the rows, and an error beside them
  ]),
  /** Only requests whose method and undecoded path contain this, such as `POST /keys/partner-signing/`. */
  match: z.string().optional(),
  /** Strikes so many times, then is spent. */
  times: z.int().min(1).default(1),
  /** Strikes with this probability when it matches; drawn from the emulator's seed. */
  probability: z.number().gt(0).max(1).default(1),
  /** For `delay`. */
  delayMs: z.int().min(0).max(120_000).default(0),
  /** For `server-error` and `server-error-after`; below 500 as from something on the way. */
  status: z.int().min(400).max(599).default(503),
})

export type Fault = z.output<typeof faultSchema>

/** A fault that strikes a request. */
export interface Struck extends Fault {
  /** Aborted when the faults are cleared: what is delayed is answered then. */
  readonly cleared: AbortSignal
}

export interface FaultList {
  add(fault: Fault): void
  /** Takes all of them away, and the delay from what one of them delays. */
  clear(): void
  /** The faults not yet spent. */
  list(): readonly Fault[]
  /**
   * The first fault that strikes this request, charged once; undefined when none does.
   *
   * @param request `METHOD path`, the path undecoded.
   */
  strike(at: Fault['at'], request: string): Struck | undefined
}

export function createFaultList(random: SeededRandom): FaultList {
  let faults: { fault: Fault; left: number }[] = []
  let clearing = new AbortController()
  const strikes = (fault: Fault, at: Fault['at'], request: string) =>
    fault.at === at &&
    request.includes(fault.match ?? '') &&
    (fault.probability === 1 || random.next() < fault.probability)
  return {
    add: (fault) => {
      faults.push({ fault, left: fault.times })
    },
    clear: () => {
      faults = []
      clearing.abort()
      clearing = new AbortController()
    },
    list: () => faults.map(({ fault, left }) => ({ ...fault, times: left })),
    strike: (at, request) => {
      const struck = faults.find(({ fault }) => strikes(fault, at, request))
      if (struck === undefined) return undefined
      struck.left -= 1
      if (struck.left === 0) faults = faults.filter((one) => one !== struck)
      return { ...struck.fault, cleared: clearing.signal }
    },
  }
}
