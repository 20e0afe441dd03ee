import { expect, test } from 'vitest'
import { askObeying, type Said } from '../../../bench/obeying-client.ts'

/** A service that says these in turn, and a clock that only waiting moves. */
function service(...says: readonly Said[]) {
  let nowMs = 0
  let asked = 0
  const waits: number[] = []
  return {
    waits,
    deps: {
      ask: () => {
        const said = says[asked++]
        if (said === undefined) throw new Error('asked too often')
        return Promise.resolve(said)
      },
      nowMs: () => nowMs,
      wait: (ms: number) => {
        waits.push(ms)
        nowMs += ms
        return Promise.resolve()
      },
    },
  }
}

const served: Said = { status: 200, retryAfterSeconds: undefined }
const refused = (retryAfterSeconds: number | undefined): Said => ({
  status: 503,
  retryAfterSeconds,
})

test('is content with an answer', async () => {
  const { deps, waits } = service(served)
  const outcome = await askObeying(deps, 60_000, () => 0)
  expect(outcome).toEqual({ isServed: true, refusals: 0, withoutTime: 0 })
  expect(waits).toEqual([])
})

test('comes back when it is told to, and never sooner', async () => {
  const { deps, waits } = service(refused(2), refused(8), served)
  const outcome = await askObeying(deps, 60_000, () => 0.4)
  expect(outcome).toEqual({ isServed: true, refusals: 2, withoutTime: 0 })
  expect(waits).toEqual([2200, 8800])
})

test('gives up when it is told to wait beyond its patience', async () => {
  const { deps } = service(refused(10), refused(10))
  const outcome = await askObeying(deps, 15_000, () => 0)
  expect(outcome).toEqual({ isServed: false, refusals: 2, withoutTime: 0 })
})

test('has nothing to obey where no time is said', async () => {
  const { deps } = service(refused(1), refused(undefined))
  const outcome = await askObeying(deps, 15_000, () => 0)
  expect(outcome).toEqual({ isServed: false, refusals: 2, withoutTime: 1 })
})
