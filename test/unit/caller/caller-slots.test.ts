import { expect, test } from 'vitest'
import { createCallerSlots } from '../../../src/caller/caller-slots.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { required } from '../../support/required.ts'

const caller = (subject: string, issuer = 'github') => ({ issuer: issuerName(issuer), subject })

test('a caller has so many requests under way, whatever others have', () => {
  const slots = createCallerSlots(() => 2)
  const first = slots.enter(caller('noisy'))
  slots.enter(caller('noisy'))
  expect(slots.enter(caller('noisy'))).toBeUndefined()
  expect(slots.enter(caller('quiet'))).toBeDefined()
  expect(slots.enter(caller('noisy', 'gitlab'))).toBeDefined()
  slots.leave(required(first))
  expect(slots.enter(caller('noisy'))).toBeDefined()
  expect(slots.enter(caller('noisy'))).toBeUndefined()
})
