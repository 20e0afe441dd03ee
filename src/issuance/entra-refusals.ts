import { LRUCache } from 'lru-cache'
import {
  type Caution,
  type Circuit,
  closedCircuit,
  entered,
  failed,
  longPauses,
  type PausePlan,
  passageOf,
  pauseOf,
  released,
  shortPauses,
  succeeded,
  untriedCircuit,
  withdrawn,
} from '../base/circuit.ts'
import { withDeadline } from '../base/deadline.ts'
import type { ClientId, Scope, TenantId } from '../base/ids.ts'
import {
  TokenEndpointError,
  type TokenEndpointErrorCode,
} from '../token-endpoint/token-endpoint.ts'

/** What a token is asked for with. */
export interface ExchangeSubject {
  /** Which application it is to Entra: a name may come to mean another one. */
  readonly clientId: ClientId
  /** Of the certificate that signs. */
  readonly keyId: string
  readonly tenant: TenantId
  readonly scope: Scope
}

/**
 * What Entra refuses and will go on refusing until somebody has acted. While it is fresh, whoever asks
 * for the same is answered from memory, so that retries cost neither a signature nor an exchange; after
 * a pause one asks, alone, and what it hears decides for all. Pauses begin at 30 s and grow to 5 min;
 * where time alone mends it, at 1 s to 16 s.
 *
 * How far a refusal reaches follows from its code: one of the scope stops nothing else of the tenant, and
 * a certificate that Entra does not know stops the application wherever it would sign with it. A
 * certificate of which nothing is known is tried by one alone, so that one which is not registered costs
 * one signature, however many wait; if the vault keeps that one from it, the others go their own way.
 */
export interface EntraRefusals {
  /**
   * Runs what signs and asks Entra, and remembers how it ended. Whoever comes while another finds out
   * waits for that.
   *
   * @param act Told whether it is to find out for all.
   * @throws RememberedRefusal | whatever `act` throws
   */
  remembering<T>(
    subject: ExchangeSubject,
    patienceMs: number,
    act: (probes: boolean) => Promise<T>,
  ): Promise<T>
  /** Refusals that are remembered. */
  readonly size: number
}

/** How far a refusal reaches. */
export type RefusalReach = 'certificate' | 'application' | 'tenant' | 'scope'

/** Answered from memory: neither vault nor Entra was asked. */
export class RememberedRefusal extends Error {
  override readonly name = 'RememberedRefusal'
  readonly code = 'ENTRA_REMEMBERED'
  readonly applied = 'no'
  /** What Entra's own answer was. */
  readonly remembered: TokenEndpointErrorCode
  readonly errorCodes: readonly number[]
  /** Of that answer; absent when it had none. */
  readonly traceId: string | undefined
  readonly reach: RefusalReach
  /** When Entra is asked again, 1 at least. */
  readonly retryAfterSeconds: number

  constructor(
    refusal: Pick<TokenEndpointError, 'code' | 'errorCodes' | 'traceId'>,
    reach: RefusalReach,
    retryAfterMs: number,
  ) {
    super('ENTRA_REMEMBERED')
    this.remembered = refusal.code
    this.errorCodes = refusal.errorCodes
    this.traceId = refusal.traceId
    this.reach = reach
    this.retryAfterSeconds = Math.max(1, Math.ceil(retryAfterMs / 1000))
  }
}

interface Rule {
  readonly reach: RefusalReach
  readonly opensAfter: number
  readonly pauses: PausePlan
}

const mended = (reach: RefusalReach): Rule => ({ reach, opensAfter: 1, pauses: longPauses })

/**
 * The narrowest reach that the code allows: a wider one would refuse from memory what Entra might give.
 * One that time mends has the reach of the tenant, because Entra counts by application and tenant.
 */
const rules: Readonly<Record<TokenEndpointErrorCode, Rule>> = {
  ENTRA_CERTIFICATE_UNKNOWN: mended('certificate'),
  ENTRA_CERTIFICATE_INVALID: mended('certificate'),
  ENTRA_ASSERTION_EXPIRED: mended('application'),
  ENTRA_ASSERTION_REFUSED: mended('tenant'),
  ENTRA_APPLICATION_ABSENT: mended('tenant'),
  ENTRA_APPLICATION_DISABLED: mended('tenant'),
  ENTRA_TENANT_UNKNOWN: mended('tenant'),
  ENTRA_RESOURCE_ABSENT: mended('scope'),
  ENTRA_ROLE_MISSING: mended('scope'),
  ENTRA_SCOPE_REFUSED: mended('scope'),
  ENTRA_POLICY_BLOCKED: mended('scope'),
  ENTRA_REFUSED: mended('scope'),
  ENTRA_THROTTLED: { reach: 'tenant', opensAfter: 1, pauses: shortPauses },
  ENTRA_UNAVAILABLE: { reach: 'tenant', opensAfter: 3, pauses: shortPauses },
  ENTRA_TIMEOUT: { reach: 'tenant', opensAfter: 3, pauses: shortPauses },
  ENTRA_MALFORMED: { reach: 'scope', opensAfter: 3, pauses: shortPauses },
}

/** Entra looks at these when it has accepted the assertion, so they speak for the certificate. */
const afterAuthentication: ReadonlySet<TokenEndpointErrorCode> = new Set([
  'ENTRA_RESOURCE_ABSENT',
  'ENTRA_ROLE_MISSING',
  'ENTRA_POLICY_BLOCKED',
])

const reaches: readonly RefusalReach[] = ['certificate', 'application', 'tenant', 'scope']

/** A few hundred bytes each. Whoever is forgotten costs one signature more. */
const refusalsMax = 10_000

/** More than are in use: those that are not any more go first. Whoever is forgotten is tried by one alone again. */
const certificatesMax = 10_000

/** About as long as a signature and an exchange take. */
const probeTakesMs = 1_000
/** Longer than Entra is waited for; whoever waited so long has time left to be told. */
const probePatienceMs = 11_000

export interface EntraRefusalsOptions {
  /** Milliseconds that never go back. */
  readonly nowMs: () => number
  /** From 0 to 1: spreads the ends of pauses. */
  readonly random: () => number
}

export function createEntraRefusals({ nowMs, random }: EntraRefusalsOptions): EntraRefusals {
  const memory = new Memory()

  const enter = async (
    subject: ExchangeSubject,
    patienceMs: number,
  ): Promise<readonly Entered[]> => {
    const untilMs = nowMs() + Math.min(patienceMs, probePatienceMs)
    for (;;) {
      const known = reaches.map((reach) => memory.of(reach, subject))
      for (const one of known) {
        const passage = passageOf(one.circuit, nowMs())
        if (passage.kind === 'paused') throw fromMemory(one, passage.forMs)
      }
      const busy = known.find(({ circuit }) => circuit.phase === 'probing')
      if (busy === undefined) return known.map(entry)
      await endOf(busy, untilMs - nowMs())
    }
  }

  const settle = (entries: readonly Entered[], outcome: Outcome) => {
    for (const { known, round } of entries) {
      known.circuit = circuitAfter(known, round, outcome, nowMs(), random)
      if (outcome instanceof TokenEndpointError && rules[outcome.code].reach === known.reach) {
        known.refusal = outcome
      }
      if (known.circuit.phase !== 'probing') known.ended?.resolve()
      memory.keep(known)
    }
  }

  return {
    remembering: async (subject, patienceMs, act) => {
      const entries = await enter(subject, patienceMs)
      try {
        const result = await act(entries.some(({ known }) => known.circuit.phase === 'probing'))
        settle(entries, 'accepted')
        return result
      } catch (error) {
        settle(entries, error instanceof TokenEndpointError ? error : 'not-asked')
        throw error
      }
    },
    get size() {
      return memory.size
    },
  }
}

type Outcome = 'accepted' | 'not-asked' | TokenEndpointError

/** What is known of one certificate, application, tenant or scope. */
interface KnownRefusal {
  readonly reach: RefusalReach
  readonly name: string
  circuit: Circuit
  /** The last of this reach. */
  refusal?: TokenEndpointError
  /** While one finds out: resolves when it has. */
  ended?: PromiseWithResolvers<void>
}

interface Entered {
  readonly known: KnownRefusal
  readonly round: number
}

/** Of a certificate it must be known that it was tried; of the rest only what fails. */
class Memory {
  readonly #certificates = new LRUCache<string, KnownRefusal>({ max: certificatesMax })
  readonly #others = new LRUCache<string, KnownRefusal>({ max: refusalsMax })

  get size(): number {
    return this.#others.size
  }

  of(reach: RefusalReach, subject: ExchangeSubject): KnownRefusal {
    const name = nameOf(reach, subject)
    const known = this.#storeOf(reach).get(name)
    if (known !== undefined) return known
    const circuit = reach === 'certificate' ? untriedCircuit : closedCircuit
    const fresh: KnownRefusal = { reach, name, circuit }
    this.#storeOf(reach).set(name, fresh)
    return fresh
  }

  keep(known: KnownRefusal): void {
    const { reach, name, circuit } = known
    const isWell = circuit.phase === 'closed' && circuit.failures === 0
    if (isWell && reach !== 'certificate') this.#others.delete(name)
    else this.#storeOf(reach).set(name, known)
  }

  #storeOf(reach: RefusalReach) {
    return reach === 'certificate' ? this.#certificates : this.#others
  }
}

/** None of the parts can hold a line feed: names, GUIDs, URLs and visible ASCII. */
function nameOf(reach: RefusalReach, subject: ExchangeSubject): string {
  const { clientId, keyId, tenant, scope } = subject
  switch (reach) {
    case 'certificate':
      return `${clientId}\n${keyId}`
    case 'application':
      return clientId
    case 'tenant':
      return `${clientId}\n${tenant}`
    case 'scope':
      return `${clientId}\n${tenant}\n${scope}`
  }
}

function entry(known: KnownRefusal): Entered {
  known.circuit = entered(known.circuit)
  if (known.circuit.phase === 'probing') known.ended = Promise.withResolvers()
  return { known, round: known.circuit.round }
}

/** @throws RememberedRefusal when the one that finds out takes longer than that. */
async function endOf(busy: KnownRefusal, patienceMs: number): Promise<void> {
  const { ended } = busy
  try {
    await withDeadline(Math.max(0, patienceMs), () => ended?.promise ?? Promise.resolve())
  } catch {
    // It ends in no other way: what is awaited is never rejected.
    throw fromMemory(busy, probeTakesMs)
  }
}

/** Of what was never refused there is nothing to tell but that nobody has an answer. */
const unanswered = { code: 'ENTRA_TIMEOUT', errorCodes: [], traceId: undefined } as const

const fromMemory = ({ refusal, reach }: KnownRefusal, forMs: number) =>
  new RememberedRefusal(refusal ?? unanswered, reach, forMs)

function circuitAfter(
  { circuit, reach }: KnownRefusal,
  round: number,
  outcome: Outcome,
  nowMs: number,
  random: () => number,
): Circuit {
  if (outcome === 'accepted') return succeeded(circuit, round)
  if (outcome === 'not-asked') return released(circuit, round)
  const rule = rules[outcome.code]
  if (rule.reach === reach) {
    return failed(circuit, round, cautionAfter(outcome, rule, random), nowMs)
  }
  return afterAuthentication.has(outcome.code)
    ? succeeded(circuit, round)
    : withdrawn(circuit, round)
}

/** As long as Entra asks for, if that is longer, but no longer than anything is remembered. */
function cautionAfter(
  { retryAfterSeconds = 0 }: TokenEndpointError,
  { opensAfter, pauses }: Rule,
  random: () => number,
): Caution {
  const askedMs = Math.min(retryAfterSeconds * 1000, longPauses.maxMs)
  return { opensAfter, pauseMs: (nth) => Math.max(askedMs, pauseOf(pauses, nth, random())) }
}
