import type { Clock } from '../base/clock.ts'
import {
  type CountersignService,
  type IssuedCredential,
  ServiceError,
} from './countersign-service.ts'

/** Whatever asks for a longer pause than this is not believed to know. */
const pauseMaxSeconds = 300

/**
 * The same service, which is not asked again for something before the time that it told has passed: until
 * then its last answer stands.
 */
export function createPatientService(
  service: CountersignService,
  clock: Clock,
): CountersignService {
  const pauses = new Map<string, { readonly error: ServiceError; readonly untilMs: number }>()

  const patiently = async (
    what: string,
    ask: () => Promise<IssuedCredential>,
  ): Promise<IssuedCredential> => {
    const pause = pauses.get(what)
    const leftMs = (pause?.untilMs ?? 0) - clock.monotonicMs()
    if (pause !== undefined && leftMs > 0) throw stillPaused(pause.error, leftMs)
    pauses.delete(what)
    try {
      return await ask()
    } catch (error) {
      if (error instanceof ServiceError && error.retryAfterSeconds !== undefined) {
        const pauseMs = Math.min(error.retryAfterSeconds, pauseMaxSeconds) * 1000
        pauses.set(what, { error, untilMs: clock.monotonicMs() + pauseMs })
      }
      throw error
    }
  }

  return {
    token: (order) =>
      patiently(`token ${order.application} ${order.tenant} ${order.scope}`, () =>
        service.token(order),
      ),
    assertion: (order) =>
      patiently(`assertion ${order.application} ${order.tenant}`, () => service.assertion(order)),
  }
}

const stillPaused = ({ code, told }: ServiceError, leftMs: number) =>
  new ServiceError(code, {
    retryAfterSeconds: Math.ceil(leftMs / 1000),
    ...(told === undefined ? {} : { told }),
  })
