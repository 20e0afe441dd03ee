/** How many requests each caller has under way, so that none of them holds all that can be. */
export interface CallerSlots {
  /** Counts a request until it leaves. Undefined when the caller has as many as it may. */
  enter(caller: { readonly issuer: string; readonly subject: string }): CallerSlot | undefined
  /** Once for each that has entered. */
  leave(slot: CallerSlot): void
}

/** What one caller has under way; all of its requests share it. */
export interface CallerSlot {
  readonly name: string
  requests: number
}

/**
 * As large as the requests under way, and no larger.
 *
 * @param requestsMax Asked each time: it may change.
 */
export function createCallerSlots(requestsMax: () => number): CallerSlots {
  const slots = new Map<string, CallerSlot>()
  const slotOf = (name: string) => {
    const slot = slots.get(name) ?? { name, requests: 0 }
    if (slot.requests === 0) slots.set(name, slot)
    return slot
  }
  return {
    enter: ({ issuer, subject }) => {
      const slot = slotOf(`${issuer} ${subject}`)
      if (slot.requests >= requestsMax()) return undefined
      slot.requests += 1
      return slot
    },
    leave: (slot) => {
      slot.requests -= 1
      if (slot.requests === 0) slots.delete(slot.name)
    },
  }
}
