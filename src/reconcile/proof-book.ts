import { constants, createPublicKey, verify, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { isObject, type Members } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { Column, IdIndex } from './id-index.ts'
import { numberIn, textIn } from './json-members.ts'
import { evidenceMax } from './kept-evidence.ts'
import type { PublishedProof, PublicKey } from './relevant-entry.ts'
import type { BegunFacts, SignatureBook } from './signature-book.ts'

/** Why what was published does not prove a signature. */
export type ProofFlaw =
  /** Its signing input hashes to another digest than the vault was sent. */
  | 'not-what-was-begun'
  /** Its signature is another than the one that was made. */
  | 'not-what-was-made'
  | 'does-not-verify'
  /** It was signed for another time than the signature was begun for. */
  | 'of-another-time'
  /** It proves another signature already. */
  | 'used-before'
  /** So many were made since that nobody can tell whether it was used before. */
  | 'too-late'
  /** The ledger has no certificate or key for it on record. */
  | 'without-certificate'

/** Signatures in one generation, of which two are remembered: and longer where it would be shorter than that. */
const generationMin = 1 << 18
const generationMax = 1 << 21
/** From begin to proof: ten minutes that an assertion may live, ten more, and then a moment. */
const generationMs = 25 * 60_000
/** Checks that are waited for at a time. */
const underWayMax = 2000

const verifies = promisify(verify)

/**
 * Holds what was published of signatures to what was begun and made, and to the certificate. What is awaited
 * takes some 70 bytes a signature, and those of the last 262,144, or of the last 25 minutes, are remembered.
 */
export class ProofBook {
  readonly #book: SignatureBook
  readonly #keys = new Map<string, KeyObject | undefined>()
  readonly #faults = new Map<number, ProofFlaw>()
  #current = new Generation()
  #previous = new Generation()
  /** Signed times of proofs that are forgotten: of those no later one is told apart any more. */
  #forgotten: SignedTimes = noTimes
  #checks: Promise<void>[] = []

  /** @param book Where signatures are marked that are proved. */
  constructor(book: SignatureBook) {
    this.#book = book
  }

  /** From here on it has to be proved. */
  expect(signature: string, ordinal: number, begun: BegunFacts, signatureSha256: string): void {
    const { size } = this.#current
    const isLong = begun.atMs - this.#current.fromMs >= generationMs
    if ((size >= generationMin && isLong) || size >= generationMax) {
      this.#forgotten = laterOf(this.#forgotten, this.#previous.signedTimes)
      this.#previous = this.#current
      this.#current = new Generation()
    }
    this.#current.add(signature, ordinal, begun, signatureSha256)
  }

  /** Whoever can write the ledger can put a key of their own on record: that is why `ledger verify` takes yours. */
  key(keyId: string, publicKey: PublicKey): void {
    const key =
      publicKey.kind === 'head' ? keyOfJwk(publicKey.jwk) : keyOfCertificate(publicKey.der)
    if (key !== undefined || !this.#keys.has(keyId)) this.#keys.set(keyId, key)
  }

  take(proof: PublishedProof): void {
    const known = this.#current.find(proof.signature) ?? this.#previous.find(proof.signature)
    if (known === undefined || this.#book.isProved(known.ordinal)) return
    const { ordinal } = known
    const fault = this.#faultOf(known, proof)
    if (fault !== undefined) {
      this.#fail(ordinal, fault)
      return
    }
    const key = this.#keys.get(this.#book.keyId(ordinal))
    if (key === undefined) this.#fail(ordinal, 'without-certificate')
    else this.#checks.push(this.#check(ordinal, proof, key))
  }

  /** Waits for checks where there are many of them. */
  async caughtUp(): Promise<void> {
    if (this.#checks.length >= underWayMax) await this.settled()
  }

  /** Waits for all of them. */
  async settled(): Promise<void> {
    await Promise.all(this.#checks.splice(0))
  }

  /** By ordinal in the book, once all is settled: the first so many. */
  get faults(): ReadonlyMap<number, ProofFlaw> {
    return this.#faults
  }

  #faultOf(
    known: Awaited,
    { signingInput, signatureValue }: PublishedProof,
  ): ProofFlaw | undefined {
    const digest = sha256Base64url(signingInput)
    if (!known.isBegunAs(digest)) return 'not-what-was-begun'
    const value = Buffer.from(signatureValue, 'base64url')
    if (!known.isMadeAs(sha256Base64url(value))) return 'not-what-was-made'
    const isHead = this.#book.isHead(known.ordinal)
    const signedAt = signedTime(signingInput, isHead)
    // Two that are signed for one time are begun near one another, whatever the ledger says of them.
    if (signedAt === undefined || !known.isOfTime(signedAt, isHead)) return 'of-another-time'
    if (signedAt <= (isHead ? this.#forgotten.head : this.#forgotten.assertion)) return 'too-late'
    if (this.#previous.hasProof(digest) || !this.#current.addProof(digest, signedAt, isHead)) {
      return 'used-before'
    }
    return undefined
  }

  async #check(ordinal: number, proof: PublishedProof, key: KeyObject): Promise<void> {
    const padding =
      this.#book.algorithm(ordinal) === 'RS256'
        ? { padding: constants.RSA_PKCS1_PADDING }
        : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    const input = Buffer.from(proof.signingInput, 'latin1')
    const value = Buffer.from(proof.signatureValue, 'base64url')
    if (await verifies('sha256', input, { key, ...padding }, value)) {
      this.#book.prove(ordinal)
      this.#faults.delete(ordinal)
    } else this.#fail(ordinal, 'does-not-verify')
  }

  #fail(ordinal: number, fault: ProofFlaw): void {
    if (this.#book.isProved(ordinal)) return
    if (this.#faults.has(ordinal) || this.#faults.size < evidenceMax) {
      this.#faults.set(ordinal, fault)
    }
  }
}

/** The latest of proofs of both kinds, as they were signed: `exp`, or the time of a head, in milliseconds. */
interface SignedTimes {
  readonly assertion: number
  readonly head: number
}

const noTimes: SignedTimes = { assertion: -Infinity, head: -Infinity }

const laterOf = (one: SignedTimes, other: SignedTimes): SignedTimes => ({
  assertion: Math.max(one.assertion, other.assertion),
  head: Math.max(one.head, other.head),
})

/** A signature that is to be proved. */
interface Awaited {
  readonly ordinal: number
  isBegunAs(digest: string): boolean
  isMadeAs(signatureSha256: string): boolean
  isOfTime(signedAtMs: number, isHead: boolean): boolean
}

/** A head waits for its turn, its commit and the vault. */
const headDifferenceMs = 600_000

/** Signatures in the order in which they were made, and proofs in the order in which they came. */
class Generation {
  readonly #signatures = new IdIndex()
  readonly #ordinals = new Column(Uint32Array)
  readonly #digests = new HashColumn()
  readonly #made = new HashColumn()
  /** `exp`, or of a head when it was begun, in seconds. */
  readonly #times = new Column(Uint32Array)
  readonly #proofs = new IdIndex()
  #signedTimes = noTimes
  #fromMs: number | undefined

  get size(): number {
    return this.#signatures.size
  }

  get fromMs(): number {
    return this.#fromMs ?? Infinity
  }

  get signedTimes(): SignedTimes {
    return this.#signedTimes
  }

  add(signature: string, ordinal: number, begun: BegunFacts, signatureSha256: string): void {
    const at = this.#signatures.add(signature)
    // The second of a name: the service gives none twice.
    if (at === undefined) return
    this.#fromMs ??= begun.atMs
    this.#ordinals.set(at, ordinal)
    this.#digests.set(at, begun.digest)
    this.#made.set(at, signatureSha256)
    this.#times.set(at, begun.expiresAtSeconds ?? Math.round(begun.atMs / 1000))
  }

  find(signature: string): Awaited | undefined {
    const at = this.#signatures.find(signature)
    if (at === undefined) return undefined
    const timeMs = this.#times.get(at) * 1000
    return {
      ordinal: this.#ordinals.get(at),
      isBegunAs: (digest) => this.#digests.is(at, digest),
      isMadeAs: (signatureSha256) => this.#made.is(at, signatureSha256),
      isOfTime: (signedAtMs, isHead) =>
        Math.abs(signedAtMs - timeMs) <= (isHead ? headDifferenceMs : 0),
    }
  }

  hasProof(digest: string): boolean {
    return this.#proofs.find(digest) !== undefined
  }

  /** False when it is there. */
  addProof(digest: string, signedAtMs: number, isHead: boolean): boolean {
    if (this.#proofs.add(digest) === undefined) return false
    const time = isHead ? { head: signedAtMs } : { assertion: signedAtMs }
    this.#signedTimes = laterOf(this.#signedTimes, { ...noTimes, ...time })
    return true
  }
}

/** SHA-256 in base64url, by its first 16 bytes: nobody finds another that begins with them. */
class HashColumn {
  readonly #words = Array.from({ length: 4 }, () => new Column(Uint32Array))

  set(at: number, hash: string): void {
    const bytes = first16Of(hash)
    this.#words.forEach((word, index) => {
      word.set(at, bytes.readUInt32LE(index * 4))
    })
  }

  is(at: number, hash: string): boolean {
    const bytes = first16Of(hash)
    return this.#words.every((word, index) => word.get(at) === bytes.readUInt32LE(index * 4))
  }
}

const hashBytes = Buffer.alloc(32)

/** Until the next call. A text that is no hash is like none that is one, in all but nothing. */
function first16Of(hash: string): Buffer {
  if (hashBytes.write(hash, 'base64url') !== hashBytes.length) hashBytes.fill(0)
  return hashBytes
}

/** What it was signed for: of an assertion its end (RFC 7519 §4.1.4), of a head when it was made. */
function signedTime(signingInput: string, isHead: boolean): number | undefined {
  const [, payload = ''] = signingInput.split('.')
  const claims = parseJson(Buffer.from(payload, 'base64url').toString())
  if (!isObject(claims)) return undefined
  if (isHead) return numberIn(claims, 'atMs')
  const exp = numberIn(claims, 'exp')
  return exp === undefined ? undefined : exp * 1000
}

function keyOfCertificate(der: Buffer): KeyObject | undefined {
  try {
    return rsa(new X509Certificate(der).publicKey)
  } catch {
    return undefined
  }
}

function keyOfJwk(jwk: Members): KeyObject | undefined {
  try {
    const [n, e] = [textIn(jwk, 'n') ?? '', textIn(jwk, 'e') ?? '']
    return rsa(createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' }))
  } catch {
    return undefined
  }
}

const rsa = (key: KeyObject): KeyObject | undefined =>
  key.asymmetricKeyType === 'rsa' ? key : undefined
