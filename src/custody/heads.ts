import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { newAttemptId, newSignatureId, type SignatureId } from '../base/ids.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { SigningKey } from '../base/signing-key.ts'
import type { LedgerEnd } from '../ledger/chain.ts'
import type { HeadKeyLoaded, HeadSigned, SignatureBegun } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Governor, Permit } from '../signer/governor.ts'
import { type Signature, type Signer, SignerError } from '../signer/signer.ts'
import type { Anchor } from './anchor.ts'
import { compactHead, headAlgorithm, headSigningInput, type HeadStatement } from './head.ts'
import type { HeadKeySource } from './head-key.ts'
import type { HeadTurns } from './head-turns.ts'

/** Signs heads of the ledger, on a schedule and at the end of a run, and has anchors keep them. */
export interface Heads {
  /**
   * Signs a head if one is due and it is this process's turn. Never rejects: what went wrong is told to
   * {@link HeadEvents}, and tried again soon. One call at a time.
   */
  look(): Promise<void>
  /** The same for the end of a run, which needs no time to have passed. */
  signLast(): Promise<void>
}

/** What operators must hear of: signing goes on without heads, and nothing else would say so. */
export interface HeadEvents {
  signed(head: HeadStatement): void
  notSigned(error: unknown): void
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
/** Nobody waits for a head: whoever asks for a token goes first. */
const patienceMs = 12_000
const signTimeoutMs = 10_000
/** A vault that fails, or refuses, is not asked again at every look. */
const pauseAfterFailureMs = 10_000
/** In the governor's order, and as the caller on record of what the service does by itself. */
const caller = 'countersign heads'

export function createHeads(deps: HeadsDeps): Heads {
  const keys = createKnownKey(deps)
  let notBeforeMs = Number.NEGATIVE_INFINITY

  const sign = async (when: 'due' | 'last'): Promise<void> => {
    // What nothing can be written to needs no head, and is said elsewhere.
    if (!deps.ledger.healthy()) return
    try {
      // On record before what is signed with it, so that a head stands for its own key too.
      const key = await keys.current()
      const end = await deps.turns.take(when)
      if (end === undefined) return
      const head = await signInTurn(end, key)
      // Others have their turn by now: it depends on no file.
      await anchorEverywhere(head, deps)
    } catch (error) {
      // It may have been disabled, or turned over.
      keys.forget()
      throw error
    }
  }

  const signInTurn = async (end: LedgerEnd, key: SigningKey): Promise<string> => {
    let signed: number | undefined
    try {
      const head = await signHead(end, key, deps)
      signed = end.tip.sequence
      return head
    } finally {
      await deps.turns.end(signed)
    }
  }

  const saying = (when: 'due' | 'last') =>
    sign(when).catch((error: unknown) => {
      notBeforeMs = deps.clock.monotonicMs() + pauseAfterFailureMs
      deps.events.notSigned(error)
    })
  return {
    look: async () => {
      if (deps.clock.monotonicMs() >= notBeforeMs) await saying('due')
    },
    signLast: () => saying('last'),
  }
}

interface KnownKey {
  /** Read, got ready and on record. */
  current(): Promise<SigningKey>
  forget(): void
}

function createKnownKey(deps: HeadsDeps): KnownKey {
  const { clock, governor, ledger, signer } = deps
  let known: { readonly key: SigningKey; readonly atMs: number } | undefined
  let recorded: string | undefined
  return {
    current: async () => {
      if (known !== undefined && clock.monotonicMs() - known.atMs < keyKnownForMs) return known.key
      const key = await deps.key.load()
      governor.charge(key, 1)
      await signer.prepare(key)
      governor.charge(key, 1)
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
  deps: HeadsDeps,
): Promise<string> {
  const { clock } = deps
  const permit = await deps.governor.permit({
    key,
    application: 'countersign',
    caller,
    purpose: 'exchange',
    priority: 'caller',
    patienceMs,
    whilePaused: 'refuse',
  })
  const hash = Buffer.from(tip.hash).toString('base64url')
  const statement = { ledger, sequence: tip.sequence, hash, atMs: clock.nowMs() }
  const signingInput = headSigningInput(statement, key.keyId)
  const signatureId = newSignatureId()
  const nonce = randomBytes(16).toString('base64url')
  await settledOnFailure(permit, () =>
    deps.ledger.append([begun(signatureId, key, signingInput, nonce, clock.nowMs())]),
  )
  const signature = await askVault(permit, signatureId, deps, () =>
    deps.signer.sign({
      key,
      algorithm: headAlgorithm,
      signingInput,
      signatureId,
      nonce,
      timeoutMs: timeToSignMs(permit),
    }),
  )
  const head = compactHead(signingInput, signature.value)
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

/** @throws SignerError when others do not count on this permit any more: this process stood still. */
function timeToSignMs(permit: Permit): number {
  const leftMs = permit.leftMs()
  if (leftMs <= 0) throw new SignerError('SIGNER_TOO_LATE', 'no')
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
    permit.settle(code === 'SIGNER_TOO_LATE' ? 'not-asked' : error)
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
