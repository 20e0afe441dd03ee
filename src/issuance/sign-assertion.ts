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
import type {
  RequestGranted,
  SignatureBegun,
  SignatureFailed,
  SignatureMade,
} from '../ledger/entry.ts'
import { type Signature, SignerError } from '../signer/signer.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { recordFailure } from './record-failure.ts'

/** The vault answers in tens of milliseconds; a caller's patience ends near half a minute. */
const signTimeoutMs = 10_000

/** What the assertion is for, and for how long. */
export interface SignOrder {
  readonly purpose: SignatureBegun['purpose']
  readonly lifetimeSeconds: number
  /** Whether the attempt begins with this signature, or is in the ledger already. */
  readonly attempt: 'begins' | 'is-under-way'
}

export interface SignedAssertion {
  readonly signatureId: SignatureId
  readonly compact: Secret<string>
  /** `exp`. */
  readonly expiresAtSeconds: number
  /** The same end, as it may be counted on. */
  readonly expiry: Instant
  /** Not written yet: it goes into the commit before whatever comes of the assertion next. */
  readonly made: SignatureMade
}

/**
 * Grant and signature begin in one commit, then the vault signs. A failure of the vault is written
 * here; a success is for the caller to write, together with what follows from it.
 *
 * @throws SignerError | LedgerError
 */
export async function signAssertion(
  admitted: AdmittedAttempt,
  order: SignOrder,
  deps: IssuanceDeps,
): Promise<SignedAssertion> {
  const builtAt = instantNow(deps.clock)
  const unsigned = unsignedAssertion(admitted, order, builtAt, deps)
  const signatureId = newSignatureId()
  const nonce = randomBytes(16).toString('base64url')
  const { key } = admitted.credential
  const nowMs = deps.clock.nowMs()
  await deps.ledger.append([
    ...(order.attempt === 'begins' ? [grantedEntry(admitted, nowMs)] : []),
    begun(admitted, order, unsigned, signatureId, nonce, nowMs),
  ])

  const startedMs = deps.clock.monotonicMs()
  const { algorithm, signingInput } = unsigned
  const signature = await recordingSignerFailure(signatureId, admitted.attempt, deps, () =>
    deps.signer.sign({
      key,
      algorithm,
      signingInput,
      signatureId,
      nonce,
      timeoutMs: signTimeoutMs,
    }),
  )
  deps.events.signatureMade(order.purpose, deps.clock.monotonicMs() - startedMs)
  const expiry = laterBy(order.lifetimeSeconds * 1000, builtAt)
  deps.proofs.hold({ signatureId, signingInput, value: signature.value, expiry })
  return {
    signatureId,
    compact: compactAssertion(unsigned, signature.value),
    expiresAtSeconds: unsigned.expiresAtSeconds,
    expiry,
    made: madeEntry(signatureId, signature, deps.clock.nowMs()),
  }
}

export const grantedEntry = ({ onRecord }: AdmittedAttempt, nowMs: number): RequestGranted => ({
  kind: 'request.granted',
  atMs: nowMs,
  ...onRecord,
})

function unsignedAssertion(
  admitted: AdmittedAttempt,
  order: SignOrder,
  builtAt: Instant,
  deps: IssuanceDeps,
): UnsignedAssertion {
  return buildClientAssertion(admitted.credential.header, {
    clientId: admitted.application.clientId,
    audience: deps.tokenEndpoint.urlOf(admitted.tenant),
    jwtId: newJwtId(),
    nowSeconds: Math.floor(builtAt.ms / 1000),
    lifetimeSeconds: order.lifetimeSeconds,
  })
}

function begun(
  admitted: AdmittedAttempt,
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
    keyId: admitted.credential.key.keyId,
    algorithm: unsigned.algorithm,
    digest: sha256Base64url(unsigned.signingInput),
    nonceSha256: sha256Base64url(nonce),
    expiresAtSeconds: unsigned.expiresAtSeconds,
  }
}

async function recordingSignerFailure(
  signatureId: SignatureId,
  attempt: AttemptId,
  deps: IssuanceDeps,
  sign: () => Promise<Signature>,
): Promise<Signature> {
  try {
    return await sign()
  } catch (error) {
    if (!(error instanceof SignerError)) throw error
    const { code, applied, vaultRequestId } = error
    deps.events.signatureFailed(code)
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
