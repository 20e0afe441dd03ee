import { expect, test } from 'vitest'
import { createUnderWay } from '../../../src/base/under-way.ts'

test('is idle while there is nothing', async () => {
  await expect(createUnderWay().idle()).resolves.toBeUndefined()
})

test('is idle when the last of all has ended, whichever way, and not before', async () => {
  const underWay = createUnderWay()
  const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  const works = [underWay.during(() => first.promise), underWay.during(() => second.promise)]
  let isIdle = false
  const idle = underWay.idle().then(() => {
    isIdle = true
  })

  first.resolve('done')
  expect(await works[0]).toBe('done')
  expect([underWay.count, isIdle]).toEqual([1, false])

  second.reject(new Error('failed'))
  await expect(works[1]).rejects.toThrow('failed')
  await idle
  expect(underWay.count).toBe(0)
})

test('counts work that fails before it has begun to wait', async () => {
  const underWay = createUnderWay()
  const throwing = () => {
    throw new Error('at once')
  }

  await expect(underWay.during(throwing)).rejects.toThrow('at once')
  expect(underWay.count).toBe(0)
})

test('counts work that says itself when it ends', async () => {
  const underWay = createUnderWay()
  underWay.begin()
  let isIdle = false
  const idle = underWay.idle().then(() => {
    isIdle = true
  })
  await underWay.during(() => Promise.resolve())
  expect([underWay.count, isIdle]).toEqual([1, false])

  underWay.end()
  await idle
  expect(underWay.count).toBe(0)
})
