import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../base/clock.ts'
import { stoppable } from '../base/deadline.ts'
import { newAttemptId, newSignatureId, type SignatureId } from '../base/ids.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { SigningKey } from '../base/signing-key.ts'
import type { LedgerEnd } from '../ledger/chain.ts'
import type { HeadKeyLoaded, HeadSigned, SignatureBegun } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Governor, Permit } from '../signer/governor.ts'
import { type Signature, type Signer, SignerError } from '../signer/signer.ts'
import type { Anchor } from './anchor.ts'
import { headAlgorithm, headSigningInput, type HeadStatement } from './head.ts'
import { compactFrom } from './own-jws.ts'
import type { HeadKeySource } from './head-key.ts'
import type { HeadTurns } from './head-turns.ts'

/** Signs heads of the ledger, on a schedule and at the end of a run, and has anchors keep them. */
export interface Heads {
  /**
   * Signs a head if one is due and it is this process's turn. Never rejects: what went wrong is told to
   * {@link HeadEvents}, and tried again soon. One call at a time.
   */
  look(): Promise<void>
  /**
   * For a stop: looks begin nothing any more, and one that waits, for the key or for leave to ask, is given up.
   * What the vault was asked for is finished, so that its entries have an end.
   */
  leaveOff(): void
  /**
   * The same for the end of a run, which needs no time to have passed; behind the last look. While it is
   * another replica's turn it is tried again.
   *
   * @param endsAtMs By the monotonic clock: no vault's answer is waited for up to then, and nothing is begun
   *   shortly before. What is signed is given to anchors all the same, which have a deadline of their own.
   */
  signLast(endsAtMs: number): Promise<'signed' | 'not-signed'>
}

/** What operators must hear of: signing goes on without heads, and nothing else would say so. */
export interface HeadEvents {
  signed(head: HeadStatement): void
  notSigned(error: unknown): void
  /** The next turn comes late. */
  turnNotEnded(error: unknown): void
  anchored(anchor: string): void
  notAnchored(anchor: string, error: unknown): void
}

export interface HeadsDeps {
  readonly key: HeadKeySource
  readonly turns: HeadTurns
  readonly anchors: readonly Anchor[]
  readonly ledger: Pick<Ledger, 'append' | 'healthy'>
  readonly governor: Pick<Governor, 'permit' | 'charge'>
  readonly signer: Signer
  readonly clock: Clock
  readonly events: HeadEvents
}

/** A key that was turned over is found, and one that was disabled since is left, within this. */
const keyKnownForMs = 3_600_000
/**
 * In the queue of those who ask for tokens, as one caller among them: a head that always came last would not
 * come at all while the vault is busy.
 */
const patienceMs = 12_000
const signTimeoutMs = 10_000
/** A vault that fails, or refuses, is not asked again at every look. */
const pauseAfterFailureMs = 10_000
/** In the governor's order, and as the caller on record of what the service does by itself. */
const caller = 'countersign heads'

/** Of a head that has to be signed in time: the vault's answer is not waited for when this is left. */
const commitMs = 1000
/** Nothing is begun when less than this is left. */
const leastMs = 2000
/** While it is another replica's turn. */
const turnEveryMs = 250

/** How long a head may take, and what makes it too late to begin one. */
interface Limits {
  /** Aborted when none is to be begun any more. What a vault was asked for is recorded all the same. */
  readonly signal: AbortSignal
  /** Infinity where nobody waits for it. */
  readonly leftMs: () => number
}

export function createHeads(deps: HeadsDeps): Heads {
  const { clock, events } = deps
  const keys = createKnownKey(deps)
  const leaving = new AbortController()
  let notBeforeMs = Number.NEGATIVE_INFINITY

  const sign = async (when: 'due' | 'last', limits: Limits): Promise<'signed' | 'no-turn'> => {
    try {
      // On record before what is signed with it, so that a head stands for its own key too.
      const key = await stoppable(limits.signal, () => keys.current(limits.signal))
      const end = await deps.turns.take(when)
      if (end === undefined) return 'no-turn'
      const head = await signInTurn(end, key, limits)
      // Others have their turn by now: it depends on no file.
      await anchorEverywhere(head, deps)
      return 'signed'
    } catch (error) {
      // It may have been disabled, or turned over.
      if (!limits.signal.aborted) keys.forget()
      throw error
    }
  }

  const signInTurn = async (end: LedgerEnd, key: SigningKey, limits: Limits): Promise<string> => {
    let signed: number | undefined
    try {
      const head = await signHead(end, key, limits, deps)
      signed = end.tip.sequence
      return head
    } finally {
      // It ends by itself too: what the signing came to is what counts.
      await deps.turns.end(signed).catch((error: unknown) => {
        events.turnNotEnded(error)
      })
    }
  }

  const signInTime = async (limits: Limits): Promise<'signed' | 'not-signed'> => {
    while (!limits.signal.aborted) {
      if ((await sign('last', limits)) === 'signed') return 'signed'
      await pause(turnEveryMs)
    }
    return 'not-signed'
  }

  return {
    look: async () => {
      const { signal } = leaving
      // What nothing can be written to needs no head, and is said elsewhere.
      if (signal.aborted || !deps.ledger.healthy() || clock.monotonicMs() < notBeforeMs) return
      try {
        await sign('due', { signal, leftMs: () => Number.POSITIVE_INFINITY })
      } catch (error) {
        if (leaving.signal.aborted) return
        notBeforeMs = clock.monotonicMs() + pauseAfterFailureMs
        events.notSigned(error)
      }
    },
    leaveOff: () => {
      leaving.abort()
    },
    signLast: async (endsAtMs) => {
      const leftMs = () => endsAtMs - clock.monotonicMs()
      const beginsWithinMs = leftMs() - leastMs
      if (!deps.ledger.healthy() || beginsWithinMs <= 0) return 'not-signed'
      try {
        return await beforeItIsTooLate(beginsWithinMs, (signal) => signInTime({ signal, leftMs }))
      } catch (error) {
        events.notSigned(error)
        return 'not-signed'
      }
    },
  }
}

/** @param act Given what is aborted when the time is up; it is waited for all the same. */
async function beforeItIsTooLate<T>(
  ms: number,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const tooLate = new AbortController()
  const timer = setTimeout(() => {
    tooLate.abort()
  }, ms)
  try {
    return await act(tooLate.signal)
  } finally {
    clearTimeout(timer)
  }
}

interface KnownKey {
  /** Read, got ready and on record. */
  current(signal: AbortSignal): Promise<SigningKey>
  forget(): void
}

function createKnownKey(deps: HeadsDeps): KnownKey {
  const { clock, governor, ledger, signer } = deps
  let known: { readonly key: SigningKey; readonly atMs: number } | undefined
  let recorded: string | undefined
  return {
    current: async (signal) => {
      if (known !== undefined && clock.monotonicMs() - known.atMs < keyKnownForMs) return known.key
      const key = await deps.key.load(signal)
      governor.charge(key, 1)
      await signer.prepare(key, signal)
      governor.charge(key, 1)
      signal.throwIfAborted()
      if (recorded !== key.keyId) await ledger.append([keyLoaded(key, clock.nowMs())])
      recorded = key.keyId
      known = { key, atMs: clock.monotonicMs() }
      return key
    },
    forget: () => {
      known = undefined
    },
  }
}

/**
 * What is signed is what the ledger held when the turn was taken: what the signing itself writes is behind
 * it, and the next head stands for that.
 *
 * @returns The head, which is in the ledger then.
 * @throws GovernorError | SignerError | LedgerError
 */
async function signHead(
  { ledger, tip }: LedgerEnd,
  key: SigningKey,
  { signal, leftMs }: Limits,
  deps: HeadsDeps,
): Promise<string> {
  const { clock } = deps
  const permit = await deps.governor.permit({
    key,
    application: 'countersign',
    caller,
    purpose: 'exchange',
    priority: 'caller',
    patienceMs: Math.max(0, Math.min(patienceMs, leftMs() - leastMs)),
    whilePaused: 'refuse',
    signal,
  })
  const hash = Buffer.from(tip.hash).toString('base64url')
  const statement = { ledger, sequence: tip.sequence, hash, atMs: clock.nowMs() }
  const signingInput = headSigningInput(statement, key.keyId)
  const signatureId = newSignatureId()
  const nonce = randomBytes(16).toString('base64url')
  await settledOnFailure(permit, () => {
    // Leave may have come in the moment in which it was too late.
    signal.throwIfAborted()
    return deps.ledger.append([begun(signatureId, key, signingInput, nonce, clock.nowMs())])
  })
  const signature = await askVault(permit, signatureId, deps, () =>
    deps.signer.sign({
      key,
      algorithm: headAlgorithm,
      signingInput,
      signatureId,
      nonce,
      timeoutMs: timeToSignMs(permit, leftMs() - commitMs),
    }),
  )
  const head = compactFrom(signingInput, signature.value)
  await deps.ledger.append(made(signatureId, signature, head, statement.sequence, clock.nowMs()))
  deps.events.signed(statement)
  return head
}

/** The permit goes back when nothing can be written: the vault will not be asked. */
async function settledOnFailure(permit: Permit, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    permit.settle('not-asked')
    throw error
  }
}

/** @throws SignerError when others do not count on this permit any more, or nobody waits: this process stood still. */
function timeToSignMs(permit: Permit, ownMs: number): number {
  const leftMs = Math.min(permit.leftMs(), ownMs)
  if (leftMs <= 0) throw new SignerError('SIGNER_TOO_LATE', 'no', { asked: false })
  return Math.min(leftMs, signTimeoutMs)
}

/** The permit is settled before anything is written: the ledger's time is not the vault's. */
async function askVault(
  permit: Permit,
  signature: SignatureId,
  { ledger, clock }: HeadsDeps,
  sign: () => Promise<Signature>,
): Promise<Signature> {
  try {
    const made = await sign()
    permit.settle('signed')
    return made
  } catch (error) {
    if (!(error instanceof SignerError)) {
      permit.settle('unknown')
      throw error
    }
    const { code, applied, vaultRequestId } = error
    permit.settle(error)
    const atMs = clock.nowMs()
    const id = vaultRequestId === undefined ? {} : { vaultRequestId }
    await ledger.append([{ kind: 'signature.failed', atMs, signature, code, applied, ...id }])
    throw error
  }
}

/** A head that no anchor keeps is in the ledger all the same, and the next one stands for all before it. */
async function anchorEverywhere(head: string, { anchors, events }: HeadsDeps): Promise<void> {
  await Promise.all(
    anchors.map(async (anchor) => {
      try {
        await anchor.keep(head)
        events.anchored(anchor.name)
      } catch (error) {
        events.notAnchored(anchor.name, error)
      }
    }),
  )
}

function keyLoaded({ keyId, publicKey }: SigningKey, atMs: number): HeadKeyLoaded {
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' })
  return { kind: 'head.key-loaded', atMs, keyId, publicKey: { kty: 'RSA', n, e } }
}

const begun = (
  signature: SignatureId,
  { keyId }: SigningKey,
  signingInput: string,
  nonce: string,
  atMs: number,
): SignatureBegun => ({
  kind: 'signature.begun',
  atMs,
  signature,
  attempt: newAttemptId(),
  purpose: 'head',
  application: 'countersign',
  tenant: '',
  keyId,
  algorithm: headAlgorithm,
  digest: sha256Base64url(signingInput),
  nonceSha256: sha256Base64url(nonce),
})

const made = (
  signature: SignatureId,
  { value, vaultRequestId }: Signature,
  head: string,
  sequence: number,
  atMs: number,
) => [
  {
    kind: 'signature.made' as const,
    atMs,
    signature,
    vaultRequestId,
    signatureSha256: sha256Base64url(value),
  },
  { kind: 'head.signed', atMs, signature, sequence, head } satisfies HeadSigned,
]
