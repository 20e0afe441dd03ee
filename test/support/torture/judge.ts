import type { Evidence } from './evidence.ts'
import { answerViolations } from './judge-answers.ts'
import { exchangeViolations } from './judge-exchanges.ts'
import { refreshViolations } from './judge-refreshes.ts'
import { signatureViolations } from './judge-signatures.ts'

/** What must never be, a sentence each; empty when everything that was said fits together. */
export const violationsIn = (evidence: Evidence): readonly string[] => [
  ...signatureViolations(evidence),
  ...answerViolations(evidence),
  ...exchangeViolations(evidence),
  ...refreshViolations(evidence),
]
