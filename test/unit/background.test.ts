import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startReloading } from '../../src/background.ts'
import type { Config } from '../../src/config/config.ts'
import type { Service } from '../../src/wiring.ts'
import { required } from '../support/required.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-background-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Looks that end when they are told to, and what begins one. */
function reloading() {
  const looks: PromiseWithResolvers<undefined>[] = []
  const look = () => {
    const one = Promise.withResolvers<undefined>()
    looks.push(one)
    return one.promise
  }
  const grants = { look, watch: () => () => undefined }
  const configuration = { look, lookAnew: look, files: [join(folder, 'countersign.yaml')] }
  const service = { reloading: { grants, configuration } } as unknown as Service
  const config = { grants: { folder } } as Config
  let hangUp: (() => void) | undefined
  const task = startReloading(
    service,
    { config, logger: pino({ level: 'silent' }) },
    (listener) => {
      hangUp = listener
      return () => {
        hangUp = undefined
      }
    },
  )
  return {
    task,
    looks,
    hangUp: () => {
      required(hangUp)()
    },
  }
}

test('a stop waits for what was told to be looked at, so that nothing is written behind it', async () => {
  const { task, looks, hangUp } = reloading()
  hangUp()
  expect(looks).toHaveLength(2)
  let isStopped = false
  const stopping = task.stop().then(() => {
    isStopped = true
  })
  for (const one of looks) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(isStopped).toBe(false)
    one.resolve(undefined)
  }
  await stopping
})
