/**
 * What is known of something that fails: whether it may be asked, and if not, until when it is left
 * alone. After a pause one asks, alone, and what it hears decides for everybody. Pure: time is told, in
 * milliseconds that never go back.
 *
 * A round is what one may say something about: an outcome of an earlier round comes too late to count.
 */
export type Circuit = Closed | Open | Probing

interface Closed {
  readonly phase: 'closed'
  readonly round: number
  /** In a row. */
  readonly failures: number
}

interface Open {
  readonly phase: 'open'
  readonly round: number
  readonly untilMs: number
  /** In a row, this one included. */
  readonly pauses: number
}

interface Probing {
  readonly phase: 'probing'
  readonly round: number
  readonly pauses: number
}

export const closedCircuit: Circuit = { phase: 'closed', round: 0, failures: 0 }

/** Of which nothing is known yet: the first one asks alone. */
export const untriedCircuit: Circuit = { phase: 'open', round: 0, untilMs: -Infinity, pauses: 0 }

export type Passage =
  /** Whoever wants to. */
  | { readonly kind: 'free' }
  /** Whoever comes first, alone. */
  | { readonly kind: 'probe' }
  /** Nobody until the one that asks has heard. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'paused'; readonly forMs: number }

export function passageOf(circuit: Circuit, nowMs: number): Passage {
  switch (circuit.phase) {
    case 'closed':
      return { kind: 'free' }
    case 'probing':
      return { kind: 'busy' }
    case 'open':
      return circuit.untilMs <= nowMs
        ? { kind: 'probe' }
        : { kind: 'paused', forMs: circuit.untilMs - nowMs }
  }
}

/** Somebody asks, and is of the round that results. Only where {@link passageOf} lets one pass. */
export function entered(circuit: Circuit): Circuit {
  if (circuit.phase === 'closed') return circuit
  return { phase: 'probing', round: circuit.round + 1, pauses: circuit.pauses }
}

export function succeeded(circuit: Circuit, round: number): Circuit {
  if (round !== circuit.round || circuit.phase === 'open') return circuit
  // The round goes on for others who are under way: what they hear counts as much.
  if (circuit.phase === 'closed') return { ...circuit, failures: 0 }
  return { phase: 'closed', round: circuit.round + 1, failures: 0 }
}

/** How a kind of failure is answered. */
export interface Caution {
  /** Failures in a row; one that asks alone is enough. */
  readonly opensAfter: number
  /** @param pauses How many there have been in a row. */
  readonly pauseMs: (pauses: number) => number
}

export function failed(circuit: Circuit, round: number, caution: Caution, nowMs: number): Circuit {
  if (round !== circuit.round || circuit.phase === 'open') return circuit
  if (circuit.phase === 'closed' && circuit.failures + 1 < caution.opensAfter) {
    return { ...circuit, failures: circuit.failures + 1 }
  }
  const pauses = circuit.phase === 'closed' ? 0 : circuit.pauses
  const untilMs = nowMs + caution.pauseMs(pauses)
  return { phase: 'open', round: circuit.round + 1, untilMs, pauses: pauses + 1 }
}

/** Whoever asked has learned nothing: the next one may. */
export function withdrawn(circuit: Circuit, round: number): Circuit {
  if (round !== circuit.round || circuit.phase !== 'probing') return circuit
  const { pauses } = circuit
  return { phase: 'open', round: circuit.round + 1, untilMs: -Infinity, pauses }
}

/** Whoever tried it first could not: nothing is held against it, so nobody need wait for the next try. */
export function released(circuit: Circuit, round: number): Circuit {
  if (round !== circuit.round || circuit.phase !== 'probing' || circuit.pauses > 0) {
    return withdrawn(circuit, round)
  }
  return { phase: 'closed', round: circuit.round + 1, failures: 0 }
}

/** Pauses that double. */
export interface PausePlan {
  readonly firstMs: number
  readonly maxMs: number
}

/** For what mends itself: 1, 2, 4, 8, 16 s ("Azure Key Vault throttling guidance"). */
export const shortPauses: PausePlan = { firstMs: 1_000, maxMs: 16_000 }

/** For what somebody has to mend, who will want to see that it is. */
export const longPauses: PausePlan = { firstMs: 30_000, maxMs: 300_000 }

/**
 * Never shorter than planned, and up to a quarter longer, so that many who began together do not go on
 * together.
 *
 * @param random From 0 to 1.
 */
export function pauseOf({ firstMs, maxMs }: PausePlan, pauses: number, random: number): number {
  return Math.min(firstMs * 2 ** pauses, maxMs) * (1 + random / 4)
}
