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
