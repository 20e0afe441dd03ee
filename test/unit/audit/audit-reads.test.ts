import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { createAuditReads } from '../../../src/audit/audit-reads.ts'
import type { AuditRead, Entry } from '../../../src/ledger/entry.ts'
import { LedgerError } from '../../../src/ledger/ledger.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const reading = (subject: string) => ({
  attempt: '01a21b03-1113-7bdb-abbc-c5bb82b45c40',
  caller: { issuer: 'gitlab', subject },
  grant: 'auditors',
  read: 'entries' as const,
})

function started() {
  const clock = fixedClock(1_795_752_000)
  const entries: Entry[] = []
  let isBroken = false
  const reads = createAuditReads({
    clock,
    ledger: {
      append: (more) => {
        if (isBroken) return Promise.reject(new LedgerError('LEDGER_UNAVAILABLE'))
        entries.push(...more)
        return Promise.resolve()
      },
    },
  })
  return {
    reads,
    clock,
    lines: () => entries.filter((entry): entry is AuditRead => entry.kind === 'audit.read'),
    fail: (broken: boolean) => {
      isBroken = broken
    },
  }
}

describe('readings', () => {
  test('are told exactly, whoever reads and however the ledger fails, in few lines', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('ada', 'ben', 'cyd') },
      fc.constantFrom('roll', 'minutes', 'fails', 'mended'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { reads, clock, lines, fail } = started()
        let told = 0
        let periods = 1
        for (const one of steps) {
          if (one === 'minutes') {
            clock.advance(11 * 60)
            periods += 1
          } else if (one === 'fails') fail(true)
          else if (one === 'mended') fail(false)
          else if (one === 'roll') await reads.roll('ended-periods').catch(() => undefined)
          else {
            const isTold = await reads.note(reading(one), 0).then(
              () => true,
              () => false,
            )
            if (isTold) told += 1
          }
        }
        fail(false)
        await reads.roll('every')
        expect(lines().reduce((sum, { times }) => sum + times, 0)).toBe(told)
        expect(lines().length).toBeLessThanOrEqual(3 * 2 * periods)
      }),
    )
  })

  test('of which none can be written down are refused', async () => {
    const { reads, fail, lines } = started()
    fail(true)
    await expect(reads.note(reading('ada'), 0)).rejects.toThrow(LedgerError)
    fail(false)
    await reads.roll('every')
    expect(lines()).toEqual([])
  })
})
