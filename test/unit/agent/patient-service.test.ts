import { expect, test } from 'vitest'
import {
  type CountersignService,
  ServiceError,
  type TokenOrder,
} from '../../../src/agent/countersign-service.ts'
import { createPatientService } from '../../../src/agent/patient-service.ts'
import { parseApplicationName, parseScope, parseTenantId } from '../../../src/base/ids.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'
import { cast } from '../../support/test-service.ts'

const order = (scope: string = cast.orders): TokenOrder => ({
  application: required(parseApplicationName('events')),
  tenant: required(parseTenantId(cast.fabrikam)),
  scope: required(parseScope(scope)),
})

function refusingService(retryAfterSeconds: number | undefined) {
  let asked = 0
  const refuse = () => {
    asked += 1
    return Promise.reject(new ServiceError('SERVICE_THROTTLED', { retryAfterSeconds }))
  }
  const service: CountersignService = { token: refuse, assertion: refuse }
  const clock = fixedClock(1_790_000_000)
  return { patient: createPatientService(service, clock), clock, count: () => asked }
}

const secondsOf = async (asking: Promise<unknown>) => {
  const error: unknown = await asking.catch((caught: unknown) => caught)
  return error instanceof ServiceError ? error.retryAfterSeconds : error
}

test('nothing is asked for again before the time that was told has passed', async () => {
  const { patient, clock, count } = refusingService(30)
  expect(await secondsOf(patient.token(order()))).toBe(30)
  clock.advance(10)
  expect(await secondsOf(patient.token(order()))).toBe(20)
  clock.advance(19)
  expect(await secondsOf(patient.token(order()))).toBe(1)
  expect(count()).toBe(1)
  clock.advance(1)
  expect(await secondsOf(patient.token(order()))).toBe(30)
  expect(count()).toBe(2)
})

test('a clock that is set meanwhile neither shortens nor stretches the wait', async () => {
  const { patient, clock, count } = refusingService(30)
  await secondsOf(patient.token(order()))
  clock.jump(3600)
  expect(await secondsOf(patient.token(order()))).toBe(30)
  clock.jump(-7200)
  clock.advance(30)
  await secondsOf(patient.token(order()))
  expect(count()).toBe(2)
})

test('what is asked for besides does not wait for it', async () => {
  const { patient, count } = refusingService(30)
  await secondsOf(patient.token(order()))
  await secondsOf(patient.token(order(cast.eventHubs)))
  await secondsOf(patient.assertion(order()))
  expect(count()).toBe(3)
})

test('a refusal that says nothing of waiting is not remembered', async () => {
  const { patient, count } = refusingService(undefined)
  expect(await secondsOf(patient.token(order()))).toBeUndefined()
  expect(await secondsOf(patient.token(order()))).toBeUndefined()
  expect(count()).toBe(2)
})
