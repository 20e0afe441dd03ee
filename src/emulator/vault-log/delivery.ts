import { z } from 'zod'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { SeededRandom } from '../random.ts'

/** How unreliable the way from a service to the storage account of its log is. By default every record arrives at once. */
export const deliverySchema = z.strictObject({
  /** Each record is held back for a time drawn between nothing and this. Azure: up to 20 minutes. */
  lateSecondsMax: z.number().min(0).max(86_400).default(0),
  /** Probability that a record is overtaken by the ones after it. */
  disorder: z.number().min(0).lt(1).default(0),
  /** Probability that a record arrives a second time, with a lateness of its own. */
  duplicates: z.number().min(0).max(1).default(0),
})

export type DeliveryDials = z.output<typeof deliverySchema>

/** Brings records to where they are kept, sooner or later: none is lost. */
export interface Delivery<LogRecord> {
  accept(record: LogRecord): void
  /** Delivers what has become due; to be called when the clock has been shifted. */
  deliverDue(): void
  /** Delivers everything that is held back, duplicates included. */
  flush(): void
  /** Records, duplicates included, that have not arrived yet. */
  heldBack(): number
  /** Stops waiting; what is held back stays undelivered. */
  close(): void
}

export interface DeliveryDeps<LogRecord> {
  readonly dials: DeliveryDials
  readonly clock: EmulatorClock
  readonly random: SeededRandom
  readonly deliver: (record: LogRecord) => void
}

interface Held<LogRecord> {
  readonly dueMs: number
  readonly record: LogRecord
}

/** So many overtaken records wait for one to overtake them, and no more. */
const overtakenMax = 20

export function createDelivery<LogRecord>({
  dials,
  clock,
  random,
  deliver,
}: DeliveryDeps<LogRecord>): Delivery<LogRecord> {
  /** Soonest first. */
  const held: Held<LogRecord>[] = []
  let overtaken: LogRecord[] = []
  let timer: NodeJS.Timeout | undefined

  const arrive = (record: LogRecord) => {
    if (random.next() < dials.disorder && overtaken.length < overtakenMax) {
      overtaken.push(record)
      return
    }
    deliver(record)
    releaseOvertaken()
  }
  const releaseOvertaken = () => {
    for (const record of overtaken.reverse()) deliver(record)
    overtaken = []
  }
  const send = (record: LogRecord) => {
    const lateMs = random.next() * dials.lateSecondsMax * 1000
    if (lateMs === 0) arrive(record)
    else hold({ dueMs: clock.nowMs() + lateMs, record })
  }
  const hold = (one: Held<LogRecord>) => {
    held.splice(indexFor(held, one.dueMs), 0, one)
    if (held[0] === one) wait()
  }
  const deliverDue = () => {
    const nowMs = clock.nowMs()
    const due = held.splice(0, indexFor(held, nowMs))
    for (const { record } of due) arrive(record)
    wait()
  }
  const wait = () => {
    clearTimeout(timer)
    const [next] = held
    timer =
      next === undefined
        ? undefined
        : setTimeout(deliverDue, Math.max(1, next.dueMs - clock.nowMs())).unref()
  }
  return {
    accept: (record) => {
      send(record)
      if (random.next() < dials.duplicates) send(record)
    },
    deliverDue,
    flush: () => {
      for (const { record } of held.splice(0)) arrive(record)
      releaseOvertaken()
      wait()
    },
    heldBack: () => held.length + overtaken.length,
    close: () => {
      clearTimeout(timer)
    },
  }
}

/** How many of them are due at that time. */
function indexFor(held: readonly Held<unknown>[], dueMs: number): number {
  let low = 0
  let high = held.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((held[middle]?.dueMs ?? 0) <= dueMs) low = middle + 1
    else high = middle
  }
  return low
}
