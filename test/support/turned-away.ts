import { expect } from 'vitest'
import { expectNothingPrivate, expectProblem, type ProblemWords } from './problems.ts'
import type { Answer, TestService } from './test-service.ts'

/** What the protected log says of the request that was answered so; undefined when nothing. */
export function lineOf(
  service: TestService,
  { headers }: Pick<Answer, 'headers'>,
): Readonly<Record<string, unknown>> | undefined {
  return service
    .log()
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find(({ attempt }) => attempt === headers['countersign-attempt'])
}

/** Why nobody was proven: reason, issuer and detail, as far as they are known. */
export function whyOf(service: TestService, answer: Answer): readonly unknown[] {
  const line = lineOf(service, answer)
  return [line?.['reason'], line?.['issuer'], line?.['detail']]
}

/**
 * Asserts that whoever sent it was turned away: in these words and no others, with nothing private, and
 * with no entry.
 */
export function expectTurnedAway(
  service: TestService,
  answer: Answer,
  words: ProblemWords,
  sent: Parameters<typeof expectNothingPrivate>[2],
): void {
  expectProblem(answer, words)
  expectNothingPrivate(answer, service, sent)
  expect(lineOf(service, answer)).toMatchObject({ msg: 'turned away' })
  expect(service.newEntries()).toEqual([])
}
