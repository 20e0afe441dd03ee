import { describe, expect, test } from 'vitest'
import { stoppable, withDeadline } from '../../../src/base/deadline.ts'

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

describe('what can be stopped', () => {
  test('comes to what it comes to while nobody stops it', async () => {
    const { signal } = new AbortController()
    await expect(stoppable(signal, () => Promise.resolve('done'))).resolves.toBe('done')
    await expect(stoppable(signal, () => Promise.reject(new Error('broken')))).rejects.toThrow(
      'broken',
    )
  })

  test('ends when it is stopped, whatever it does, and is not begun behind that', async () => {
    const stop = new AbortController()
    const heedless = stoppable(stop.signal, () => new Promise(() => undefined))
    stop.abort()
    await expect(heedless).rejects.toMatchObject({ name: 'AbortError' })
    let begun = false
    const late = stoppable(stop.signal, () => {
      begun = true
      return Promise.resolve()
    })
    await expect(late).rejects.toMatchObject({ name: 'AbortError' })
    expect(begun).toBe(false)
  })
})
