import { randomBytes } from 'node:crypto'
import {
  buildClientAssertion,
  compactAssertion,
  type UnsignedAssertion,
} from '../assertion/client-assertion.ts'
import { type Instant, instantNow, laterBy } from '../base/clock.ts'
import { type AttemptId, newJwtId, newSignatureId, type SignatureId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { SignatureBegun, SignatureFailed, SignatureMade } from '../ledger/entry.ts'
import { GovernorError, type Permit } from '../signer/governor.ts'
import { type Signature, SignerError } from '../signer/signer.ts'
import { appendDecided } from './append-decided.ts'
import { timeLeftMs } from './attempt-deadline.ts'
import type { DutyChange } from './certificate-duty.ts'
import type { CertificateTry } from './either-certificate.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { grantedEntry } from './on-record.ts'
import { recordFailure } from './record-failure.ts'

/** The vault answers in tens of milliseconds; a caller's patience ends near half a minute. */
const signTimeoutMs = 10_000
/** Whatever is left: the signature has begun, and the vault may as well be asked. */
const signTimeoutMinMs = 1_000

/** All that a vault allows in ten seconds may be spent, and what was asked takes a moment to end. */
const permitPatienceMs = 12_000
/** What is left for the vault and for Entra when a permit comes last. */
const afterPermitMs = 4_000

/** What the assertion is for, and for how long. */
export interface SignOrder {
  readonly purpose: Exclude<SignatureBegun['purpose'], 'head'>
  readonly lifetimeSeconds: number
  /** Whether it is to find out, for all, if Entra accepts the certificate again. */
  readonly probesEntra: boolean
}

export interface SignedAssertion {
  readonly signatureId: SignatureId
  /** The key version that signed. */
  readonly keyId: string
  readonly compact: Secret<string>
  /** `exp`. */
  readonly expiresAtSeconds: number
  /** The same end, as it may be counted on. */
  readonly expiry: Instant
  /** Not written yet: it goes into the commit before whatever comes of the assertion next. */
  readonly made: SignatureMade
}

/**
 * Waits for leave to ask the vault, so that the assertion is fresh when it is signed and a queue leaves
 * nothing begun. Then grant and signature begin in one commit, and the vault signs. A failure of the
 * vault is written here; a success is for the caller to write, together with what follows from it.
 *
 * @throws GovernorError | SignerError | LedgerError
 */
export async function signAssertion(
  admitted: AdmittedAttempt,
  one: CertificateTry,
  order: SignOrder,
  deps: IssuanceDeps,
): Promise<SignedAssertion> {
  const permit = await permitFor(admitted, one, order, deps)
  const { unsigned, builtAt, signatureId, nonce } = await begin(admitted, one, order, permit, deps)

  const startedMs = deps.clock.monotonicMs()
  const { algorithm, signingInput } = unsigned
  const signature = await settling(permit, signatureId, admitted.attempt, deps, () =>
    deps.signer.sign({
      key: one.credential.key,
      algorithm,
      signingInput,
      signatureId,
      nonce,
      timeoutMs: timeToSignMs(admitted, permit, deps),
    }),
  )
  deps.events.signatureMade(order.purpose, deps.clock.monotonicMs() - startedMs)
  const expiry = laterBy(order.lifetimeSeconds * 1000, builtAt)
  deps.proofs.hold({ signatureId, signingInput, value: signature.value, expiry })
  return {
    signatureId,
    keyId: one.credential.key.keyId,
    compact: compactAssertion(unsigned, signature.value),
    expiresAtSeconds: unsigned.expiresAtSeconds,
    expiry,
    made: madeEntry(signatureId, signature, deps.clock.nowMs()),
  }
}

/** @throws SignerError when others do not count on this permit any more: this process stood still. */
function timeToSignMs(
  admitted: AdmittedAttempt,
  permit: Permit,
  { clock }: Pick<IssuanceDeps, 'clock'>,
): number {
  const permittedMs = permit.leftMs()
  if (permittedMs <= 0) throw new SignerError('SIGNER_TOO_LATE', 'no', { asked: false })
  const leftMs = Math.max(signTimeoutMinMs, timeLeftMs(admitted, signTimeoutMs, clock))
  return Math.min(permittedMs, leftMs)
}

async function permitFor(
  admitted: AdmittedAttempt,
  { credential, whilePaused }: CertificateTry,
  { purpose }: SignOrder,
  deps: IssuanceDeps,
): Promise<Permit> {
  const { application, onRecord, priority, gone } = admitted
  const askedMs = deps.clock.monotonicMs()
  const leftMs = timeLeftMs(admitted, permitPatienceMs + afterPermitMs, deps.clock)
  try {
    const permit = await deps.governor.permit({
      key: credential.key,
      application: application.name,
      caller: `${onRecord.caller.issuer} ${onRecord.caller.subject}`,
      purpose,
      priority,
      patienceMs: Math.max(0, leftMs - afterPermitMs),
      whilePaused,
      ...(gone === undefined ? {} : { signal: gone }),
    })
    deps.events.permitGranted(deps.clock.monotonicMs() - askedMs)
    return permit
  } catch (error) {
    if (error instanceof GovernorError) deps.events.permitRefused(error.code)
    throw error
  }
}

interface BegunSignature {
  readonly unsigned: UnsignedAssertion
  readonly builtAt: Instant
  readonly signatureId: SignatureId
  readonly nonce: string
}

/** The permit goes back when nothing can be written: the vault will not be asked. */
async function begin(
  admitted: AdmittedAttempt,
  one: CertificateTry,
  order: SignOrder,
  permit: Permit,
  deps: IssuanceDeps,
): Promise<BegunSignature> {
  const change = dutyChangeFor(admitted, one, permit.probes || order.probesEntra, deps)
  try {
    const builtAt = instantNow(deps.clock)
    const unsigned = unsignedAssertion(admitted, one, order, builtAt, deps)
    const signatureId = newSignatureId()
    const nonce = randomBytes(16).toString('base64url')
    const atMs = deps.clock.nowMs()
    const beginning = [
      ...(admitted.beginning.isGrantWritten ? [] : [grantedEntry(admitted.onRecord, atMs)]),
      ...(change === undefined ? [] : [change.entry]),
      begun(admitted, one, order, unsigned, signatureId, nonce, atMs),
    ]
    await appendDecided(beginning, admitted, deps)
    admitted.beginning.isGrantWritten = true
    if (change !== undefined) deps.events.certificateSwitched(change.entry)
    return { unsigned, builtAt, signatureId, nonce }
  } catch (error) {
    permit.settle('not-asked')
    change?.undo()
    throw error
  }
}

/** Whoever only finds out whether its certificate can be used again has not taken the duty over yet. */
function dutyChangeFor(
  { application }: AdmittedAttempt,
  { credential, insteadBecause }: CertificateTry,
  probes: boolean,
  deps: IssuanceDeps,
): DutyChange | undefined {
  if (insteadBecause === undefined && probes) return undefined
  return deps.duty.changeTo(application.name, credential, insteadBecause)
}

function unsignedAssertion(
  admitted: AdmittedAttempt,
  { credential }: CertificateTry,
  order: SignOrder,
  builtAt: Instant,
  deps: IssuanceDeps,
): UnsignedAssertion {
  return buildClientAssertion(credential.header, {
    clientId: admitted.application.clientId,
    audience: deps.tokenEndpoint.urlOf(admitted.tenant),
    jwtId: newJwtId(),
    nowSeconds: Math.floor(builtAt.ms / 1000),
    lifetimeSeconds: order.lifetimeSeconds,
  })
}

function begun(
  admitted: AdmittedAttempt,
  { credential }: CertificateTry,
  order: SignOrder,
  unsigned: UnsignedAssertion,
  signatureId: SignatureId,
  nonce: string,
  nowMs: number,
): SignatureBegun {
  return {
    kind: 'signature.begun',
    atMs: nowMs,
    signature: signatureId,
    attempt: admitted.attempt,
    purpose: order.purpose,
    application: admitted.application.name,
    tenant: admitted.tenant,
    keyId: credential.key.keyId,
    algorithm: unsigned.algorithm,
    digest: sha256Base64url(unsigned.signingInput),
    nonceSha256: sha256Base64url(nonce),
    expiresAtSeconds: unsigned.expiresAtSeconds,
  }
}

/** The permit is settled before anything is written: the ledger's time is not the vault's. */
async function settling(
  permit: Permit,
  signatureId: SignatureId,
  attempt: AttemptId,
  deps: IssuanceDeps,
  sign: () => Promise<Signature>,
): Promise<Signature> {
  try {
    const signature = await sign()
    permit.settle('signed')
    return signature
  } catch (error) {
    permit.settle(error instanceof SignerError ? error : 'unknown')
    if (!(error instanceof SignerError)) throw error
    const { code, applied, vaultRequestId } = error
    deps.events.signatureFailed(error)
    const entry: SignatureFailed = {
      kind: 'signature.failed',
      atMs: deps.clock.nowMs(),
      signature: signatureId,
      code,
      applied,
      ...(vaultRequestId === undefined ? {} : { vaultRequestId }),
    }
    return recordFailure(error, entry, attempt, deps)
  }
}

const madeEntry = (
  signatureId: SignatureId,
  signature: Signature,
  nowMs: number,
): SignatureMade => ({
  kind: 'signature.made',
  atMs: nowMs,
  signature: signatureId,
  vaultRequestId: signature.vaultRequestId,
  signatureSha256: sha256Base64url(signature.value),
})
