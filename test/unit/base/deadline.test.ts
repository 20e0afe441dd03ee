import { describe, expect, test } from 'vitest'
import { unlessAborted, withDeadline } from '../../../src/base/deadline.ts'

describe('deadline', () => {
  test('gives back what the work comes to in time', async () => {
    await expect(withDeadline(1000, () => Promise.resolve('done'))).resolves.toBe('done')
  })

  test('gives back how the work fails in time', async () => {
    const failing = withDeadline(1000, () => Promise.reject(new Error('broken')))
    await expect(failing).rejects.toThrow('broken')
  })

  test('ends work that heeds the signal, and work that does not', async () => {
    const heeding = withDeadline(
      20,
      (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(new Error('aborted'))
          })
        }),
    )
    const heedless = withDeadline(20, () => new Promise(() => undefined))
    await expect(heeding).rejects.toMatchObject({ name: 'TimeoutError' })
    await expect(heedless).rejects.toMatchObject({ name: 'TimeoutError' })
  })
})

describe('what may be left off', () => {
  test('comes to what the work does, while nobody gives it up', async () => {
    const { signal } = new AbortController()
    await expect(unlessAborted(signal, Promise.resolve('done'))).resolves.toBe('done')
    const failing = Promise.reject(new Error('broken'))
    await expect(unlessAborted(signal, failing)).rejects.toThrow('broken')
  })

  test('is left with the reason, before and while it goes on', async () => {
    const giving = new AbortController()
    const left = unlessAborted(giving.signal, new Promise(() => undefined))
    giving.abort(new Error('left off'))
    await expect(left).rejects.toThrow('left off')
    const late = unlessAborted(giving.signal, new Promise(() => undefined))
    await expect(late).rejects.toThrow('left off')
  })
})
