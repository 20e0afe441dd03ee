import { atMostMsSince, type Clock, type Instant, instantNow } from '../base/clock.ts'
import type { ApplicationName, AttemptId, TenantId } from '../base/ids.ts'
import type { SigningCredential } from './credentials.ts'
import type { AdmittedAttempt } from './issuance-deps.ts'
import type { SignedAssertion } from './sign-assertion.ts'

/** An assertion that the service exchanges itself; it is never handed out. */
export interface InternalAssertion {
  readonly signed: SignedAssertion
  /** Whose signature it is; other attempts may use it. */
  readonly attempt: AttemptId
  /** How many exchanges it was given to, up to now. */
  readonly uses: number
}

/** What an assertion is good for: it names neither scope nor caller. */
export interface AssertionFor {
  readonly application: ApplicationName
  readonly tenant: TenantId
  /** The key version that signs. */
  readonly keyId: string
}

/**
 * Assertions while they are young, so that a burst over many scopes of one tenant costs one
 * signature. They are in memory only.
 */
export interface InternalAssertions {
  /**
   * A young one for the attempt's application and tenant and the key version, or a fresh one: of all who
   * call while there is none, the first one's `sign` runs, and all share how it ends. A failure is
   * remembered by nobody.
   *
   * @param sign Resolves when the signature is written: whoever is given it may use it at once.
   * @throws whatever `sign` throws.
   */
  obtain(
    admitted: AdmittedAttempt,
    credential: SigningCredential,
    sign: () => Promise<SignedAssertion>,
  ): Promise<InternalAssertion>
  /** Gives it to nobody any more. */
  forget(assertion: InternalAssertion): void
  /** The same for all that match, those being signed too; returns how many. */
  drop(matches: (held: AssertionFor) => boolean): number
}

/** About 2 KiB each; more than the vaults of one service sign for while any is young. */
const heldMax = 20_000

/** @param options.youngSeconds For how long one is used again, much less than it lives; 0: each is used once. */
export function createInternalAssertions(options: {
  readonly clock: Clock
  readonly youngSeconds: number
}): InternalAssertions {
  const { clock, youngSeconds } = options
  /** The oldest first. */
  const held = new Map<string, Held>()

  const isYoung = ({ landed }: Held) =>
    landed === undefined || atMostMsSince(landed.signedAt, clock) < youngSeconds * 1000

  const makeRoom = () => {
    for (const [text, one] of held) {
      if (isYoung(one) && held.size < heldMax) return
      held.delete(text)
    }
  }

  const begin = (
    what: AssertionFor,
    attempt: AttemptId,
    sign: () => Promise<SignedAssertion>,
  ): Held => {
    const text = textOf(what)
    const one: Held = { for: what, landing: land(sign, attempt, clock) }
    one.landing.then(
      (landed) => {
        one.landed = landed
      },
      () => {
        if (held.get(text) === one) held.delete(text)
      },
    )
    held.delete(text)
    makeRoom()
    held.set(text, one)
    return one
  }

  return {
    obtain: async (admitted, credential, sign) => {
      const { attempt } = admitted
      if (youngSeconds === 0) return used(await land(sign, attempt, clock))
      const what = assertionFor(admitted, credential)
      const known = held.get(textOf(what))
      const one = known !== undefined && isYoung(known) ? known : begin(what, attempt, sign)
      return used(await one.landing)
    },
    forget: (assertion) => {
      for (const [text, { landed }] of held) if (landed === assertion) held.delete(text)
    },
    drop: (matches) => {
      const dropped = [...held].filter(([, one]) => matches(one.for))
      for (const [text] of dropped) held.delete(text)
      return dropped.length
    },
  }
}

interface Held {
  readonly for: AssertionFor
  readonly landing: Promise<Landed>
  /** Absent while it is being signed. */
  landed?: Landed
}

interface Landed extends InternalAssertion {
  readonly signedAt: Instant
  uses: number
}

async function land(
  sign: () => Promise<SignedAssertion>,
  attempt: AttemptId,
  clock: Clock,
): Promise<Landed> {
  const signed = await sign()
  return { signed, attempt, signedAt: instantNow(clock), uses: 0 }
}

function used(landed: Landed): InternalAssertion {
  landed.uses += 1
  return landed
}

const assertionFor = (
  { application, tenant }: AdmittedAttempt,
  { key }: SigningCredential,
): AssertionFor => ({ application: application.name, tenant, keyId: key.keyId })

/** None of the parts holds a line feed. */
const textOf = ({ application, tenant, keyId }: AssertionFor) =>
  `${application}\n${tenant}\n${keyId}`
