import type { ApplicationName } from '../base/ids.ts'
import type { CertificatePlace, CertificateSwitched } from '../ledger/entry.ts'
import type { SigningCredential } from './credentials.ts'

/**
 * Which of an application's two certificates signs. The primary one does, unless it cannot; the standby
 * then has the duty for a while, so that a primary that comes and goes is not switched to and from at
 * each signature. A restart begins with the primary.
 */
export interface CertificateDuty {
  /** In the order in which to try them. */
  inOrder(
    application: ApplicationName,
    credentials: readonly SigningCredential[],
  ): readonly SigningCredential[]
  /**
   * What to write when this one signs now: the duty changes with it. Undefined when it does not.
   *
   * @param reason Why the other one does not sign: a code. Undefined when nothing is the matter with it.
   */
  changeTo(
    application: ApplicationName,
    credential: SigningCredential,
    reason: string | undefined,
  ): DutyChange | undefined
}

export interface DutyChange {
  readonly entry: CertificateSwitched
  /** The entry could not be written, so nothing has changed. */
  undo(): void
}

/** Longer than the longest pause of a vault that throttles: a switch and one back in half a minute at most. */
const standbyStaysMs = 30_000

/** Why the duty goes back to the primary, when nothing is the matter with the standby. */
const servesAgain = 'SERVES_AGAIN'

interface Duty {
  readonly place: CertificatePlace
  readonly sinceMs: number
}

export function createCertificateDuty(options: {
  /** For entries: since the Unix epoch. */
  readonly epochMs: () => number
  /** Milliseconds that never go back. */
  readonly nowMs: () => number
}): CertificateDuty {
  const duties = new Map<ApplicationName, Duty>()
  const dutyOf = (application: ApplicationName): Duty =>
    duties.get(application) ?? { place: 'primary', sinceMs: -Infinity }

  return {
    inOrder: (application, credentials) => {
      const { place, sinceMs } = dutyOf(application)
      const stays = place === 'standby' && options.nowMs() - sinceMs < standbyStaysMs
      return stays ? credentials.toReversed() : credentials
    },
    changeTo: (application, { certificate, place, key }, reason) => {
      const before = dutyOf(application)
      if (before.place === place) return undefined
      duties.set(application, { place, sinceMs: options.nowMs() })
      return {
        entry: {
          kind: 'certificate.switched',
          atMs: options.epochMs(),
          certificate,
          application,
          from: before.place,
          to: place,
          keyId: key.keyId,
          reason: reason ?? servesAgain,
        },
        undo: () => {
          duties.set(application, before)
        },
      }
    },
  }
}
