import type { SignAssumed, SignUnexplained } from './finding.ts'
import type { EntryEvidence } from './ledger-evidence.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import { clockDifferenceMs, isSameAlgorithm, isSameKey } from './sign-difference.ts'
import type { BegunFacts, SignatureFacts } from './signature-book.ts'
import { signatureNonceSha256 } from './signature-nonce.ts'
import type { SignRecord } from './vault-record.ts'

/** More than the signer waits for the vault. */
const signDeadlineMs = 60_000

/**
 * A signature whose reply was lost, or could not be used, is known by the hash of its nonce. Whoever reads
 * the vault's log learns the nonce and could sign with it again: that is why such a match is assumed,
 * serves once, and holds for the principal and the time of the signature alone.
 *
 * @param records That no answer of the ledger tells of, the likeliest first.
 */
export function matchedByNonce(
  records: readonly SignRecord[],
  lost: LedgerFacts['lost'],
  evidence: EntryEvidence,
  mayBeOurs: (record: SignRecord) => boolean,
): readonly (SignAssumed | SignUnexplained)[] {
  const assumed = new Set<SignatureFacts>()
  return records.map((record) => {
    const nonce = record.nonce === undefined ? undefined : signatureNonceSha256(record.nonce)
    if (nonce === undefined) return { kind: 'sign.unexplained', record }
    const facts = lost.get(nonce)
    const begun = facts?.begun
    const isFree = facts !== undefined && begun !== undefined && !assumed.has(facts)
    if (
      isFree &&
      mayBeOurs(record) &&
      isOfThatAct(begun, record) &&
      isOfThatAnswer(facts, record)
    ) {
      assumed.add(facts)
      const { signature } = facts
      return { kind: 'sign.assumed', record, signature, attempt: begun.attempt }
    }
    const nonceOf = (facts ?? evidence.byNonce.get(nonce))?.signature
    return { kind: 'sign.unexplained', record, ...(nonceOf === undefined ? {} : { nonceOf }) }
  })
}

/** An answer that could not be used may have told its id. */
const isOfThatAnswer = ({ outcome }: SignatureFacts, { correlationId }: SignRecord): boolean =>
  outcome?.vaultRequestId === undefined || outcome.vaultRequestId === correlationId

/** When the vault was asked, and for what. */
export type SignatureAct = Pick<BegunFacts, 'atMs' | 'keyId' | 'algorithm'>

/** Whether it may be that signature, by key, algorithm and time. */
export const isOfThatAct = (begun: SignatureAct, record: SignRecord): boolean =>
  isSameKey(begun.keyId, record.key) &&
  isSameAlgorithm(begun.algorithm, record) &&
  record.timeMs >= begun.atMs - clockDifferenceMs &&
  record.timeMs <= begun.atMs + signDeadlineMs + clockDifferenceMs
