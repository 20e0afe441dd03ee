import { expect } from 'vitest'
import type { z } from 'zod'
import { faultSchema } from '../../src/emulator/faults.ts'
import type { TestEmulator } from './emulator.ts'

/** What the vault does to the next signature, and no read of the key before it. */
export const signing = { at: 'vault', match: '/sign' } as const

/** What a tenant's token endpoint does to the next exchange. */
export const exchanging = { at: 'token-endpoint' } as const

/** Adds a fault; it strikes once unless told otherwise. */
export function strike(emulator: TestEmulator, fault: z.input<typeof faultSchema>): void {
  emulator.faults.add(faultSchema.parse(fault))
}

/** Answers of what is done, kept back until they are let go. */
export interface HeldBack {
  /** Resolves when so many are. */
  reached(count?: number): Promise<void>
  /** Takes all other faults away with it. */
  letGo(): void
}

/** More than anybody waits for: who forgets to let go is told so by a deadline. */
const heldMs = 120_000

/** @param times Of how many. */
export function holdBack(
  emulator: Pick<TestEmulator, 'faults'>,
  at: Pick<z.input<typeof faultSchema>, 'at' | 'match'>,
  times = 1,
): HeldBack {
  const fault = faultSchema.parse({ ...at, kind: 'delay', delayMs: heldMs, times })
  emulator.faults.add(fault)
  const left = () =>
    emulator.faults
      .list()
      .filter((one) => one.delayMs === heldMs && one.at === fault.at && one.match === fault.match)
      .reduce((sum, one) => sum + one.times, 0)
  return {
    reached: async (count = 1) => {
      await expect.poll(() => times - left()).toBeGreaterThanOrEqual(count)
    },
    letGo: () => {
      emulator.faults.clear()
    },
  }
}
