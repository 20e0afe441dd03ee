/** When to look at which thing again, to the second. Adding, removing and taking cost the same for any number. */
export interface WakeUps<Name> {
  /** Returns the slot, which {@link WakeUps.remove} wants to be told. */
  add(name: Name, atMs: number): number
  remove(name: Name, slot: number): void
  /** Takes one whose time has come; undefined when there is none. */
  take(nowMs: number): Name | undefined
}

const slotMs = 1000

/** @param nowMs Of a clock that never goes back. */
export function createWakeUps<Name>(nowMs: number): WakeUps<Name> {
  const slots = new Map<number, Set<Name>>()
  /** The slot that a moment has reached; all before it are empty. */
  const reached = (ms: number) => Math.floor(ms / slotMs)
  let earliest = reached(nowMs)

  return {
    add: (name, atMs) => {
      // Rounded up, so that nothing is taken before its time.
      const slot = Math.max(Math.ceil(atMs / slotMs), earliest)
      slots.set(slot, (slots.get(slot) ?? new Set()).add(name))
      return slot
    },
    remove: (name, slot) => {
      const names = slots.get(slot)
      if (names?.delete(name) === true && names.size === 0) slots.delete(slot)
    },
    take: (now) => {
      for (; earliest <= reached(now); earliest += 1) {
        const names = slots.get(earliest)
        const [name] = names ?? []
        if (names === undefined || name === undefined) continue
        names.delete(name)
        if (names.size === 0) slots.delete(earliest)
        return name
      }
      // The slot of this moment may get more before it is over.
      earliest = reached(now)
      return undefined
    },
  }
}
