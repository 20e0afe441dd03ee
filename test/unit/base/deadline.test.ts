import { describe, expect, test } from 'vitest'
import { withDeadline } from '../../../src/base/deadline.ts'

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
