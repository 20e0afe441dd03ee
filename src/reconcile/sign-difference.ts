import { isoTimeFrom } from '../base/clock.ts'
import type { Difference } from './finding.ts'
import { keyNameText, keyVersionText, parseKeyUrl, withoutPort } from './key-name.ts'
import type { KeyVersion } from './key-name.ts'
import { isSuccess } from './sign-record-identity.ts'
import type { SignatureBook } from './signature-book.ts'
import type { SignRecord } from './vault-record.ts'

/** How far the vault's clock and ours may be apart. */
export const clockDifferenceMs = 60_000

/** In what a record differs from the signature of the ledger that has its id. */
export function differencesFrom(
  answered: SignatureBook,
  ordinal: number,
  record: SignRecord,
): readonly Difference[] {
  const differences: Difference[] = []
  const vault = keyVersionText(record.key)
  const ending = answered.ending(ordinal)
  if (ending === 'made' && !isSuccess(record)) {
    const status = `status ${record.httpStatusCode}`
    differences.push({ what: 'outcome', ledger: 'signed', vault: status })
  }
  if (ending === 'refused' && isSuccess(record)) {
    differences.push({ what: 'outcome', ledger: 'not signed', vault: 'status 200' })
  }
  const keyId = answered.keyId(ordinal)
  const algorithm = answered.algorithm(ordinal)
  if (!answered.wasBegun(ordinal)) {
    differences.push({ what: 'key', ledger: 'never begun', vault })
  } else {
    if (!isSameKey(keyId, record.key)) differences.push({ what: 'key', ledger: keyId, vault })
    if (!isSameAlgorithm(algorithm, record)) {
      differences.push({ what: 'algorithm', ledger: algorithm, vault: record.algorithm ?? '' })
    }
    differences.push(...timeDifference(answered, ordinal, record))
  }
  return differences
}

/** Whoever can write the ledger could claim a signature of somebody else's afterwards, or before it is made. */
function timeDifference(
  answered: SignatureBook,
  ordinal: number,
  { timeMs, time }: SignRecord,
): readonly Difference[] {
  const fromMs = answered.begunAtMs(ordinal)
  const toMs = answered.settledAtMs(ordinal)
  if (timeMs >= fromMs - clockDifferenceMs && timeMs <= toMs + clockDifferenceMs) return []
  const ledger = `${isoTimeFrom(fromMs)} to ${isoTimeFrom(toMs)}`
  return [{ what: 'time', ledger, vault: time }]
}

/** A record that does not say its version, or lost the port of its vault, does not disagree. */
export function isSameKey(keyId: string, recorded: KeyVersion): boolean {
  if (recorded.version !== undefined && keyId === keyVersionText(recorded)) return true
  const key = parseKeyUrl(keyId)
  if (key === undefined) return false
  const sameName =
    keyNameText(key) === keyNameText(recorded) ||
    keyNameText(withoutPort(key)) === keyNameText(recorded)
  return sameName && (recorded.version === undefined || recorded.version === key.version)
}

export const isSameAlgorithm = (begun: string, { algorithm }: SignRecord): boolean =>
  algorithm === undefined || algorithm === begun
