import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDependencyWatch } from '../../../src/base/dependency-watch.ts'
import { problemHandler } from '../../../src/http/problem-handler.ts'
import { RequestProblem } from '../../../src/http/request-problem.ts'
import { createIssuanceTelemetry } from '../../../src/telemetry/issuance-telemetry.ts'
import { createCommitSeconds, createMetrics } from '../../../src/telemetry/metrics.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { gaugesAtRest } from '../../support/gauges.ts'

const clock = fixedClock(1_795_341_630)
let log: string[]
let server: Server
let origin: string

beforeEach(async () => {
  log = []
  const events = createIssuanceTelemetry({
    logger: pino({}, { write: (line) => void log.push(line) }),
    metrics: createMetrics(gaugesAtRest, createCommitSeconds()),
    clock,
    vault: createDependencyWatch(clock),
    entra: createDependencyWatch(clock),
  })
  const app = express()
  app.get('/mistake', () => {
    throw new TypeError('contoso-hsm is not a function')
  })
  app.get('/missing', () => {
    throw new RequestProblem('not_found', 'See elsewhere.')
  })
  app.use(problemHandler(events))
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  server.close()
})

describe('a mistake of ours outside of an attempt', () => {
  test('says nothing, and is found by the attempt that the answer tells', async () => {
    const response = await fetch(`${origin}/mistake`)
    const text = await response.text()

    expect(response.status).toBe(500)
    expect(text).not.toContain('contoso')
    const attempt = response.headers.get('countersign-attempt')
    expect(JSON.parse(text)).toMatchObject({ code: 'internal', attempt })
    expect(log.map((line) => JSON.parse(line) as object)).toMatchObject([
      {
        msg: 'failed',
        attempt,
        code: 'UNEXPECTED',
        err: { message: 'contoso-hsm is not a function' },
      },
    ])
  })
})

describe('a path that there is not', () => {
  test('is no mistake of ours: no attempt, no line', async () => {
    const response = await fetch(`${origin}/missing`)

    expect(response.status).toBe(404)
    expect(response.headers.get('countersign-attempt')).toBeNull()
    expect(await response.json()).toMatchObject({ code: 'not_found', detail: 'See elsewhere.' })
    expect(log).toEqual([])
  })
})
