import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { sha256Base64url } from '../base/sha256.ts'
import type { SignatureAlgorithm } from '../base/signing-key.ts'
import type { CertificateLoaded, SignatureBegun, SignatureProved } from '../ledger/entry.ts'

/** What was found of the signatures that a ledger says it has proved. */
export interface ProofCounts {
  /** Rebuilt, hashed to what was begun, and verified with the certificate. */
  readonly verified: number
  /** Of those: with a certificate that was given and not only on record. */
  readonly withGiven: number
  /** Their certificate is not on record, or not among those that were given. */
  readonly withoutCertificate: number
  /** They began before what is left of the ledger, or too long ago to be remembered. */
  readonly withoutBegin: number
  /** Made, and not proved up to the end: their assertions lived, or the service was killed. */
  readonly open: number
}

/** Follows the signatures of a ledger, entry by entry. */
export interface ProofChecks {
  /**
   * Of what its kind says: signatures, proofs, heads and certificates.
   *
   * @returns What is wrong with it, in words; undefined when nothing is.
   */
  take(kind: string, entry: unknown): string | undefined
  counts(): ProofCounts
}

const certificateForm = z.object({
  keyId: z.string(),
  thumbprintSha256: z.string(),
  der: z.string(),
}) satisfies z.ZodType<Pick<CertificateLoaded, 'keyId' | 'thumbprintSha256' | 'der'>>

const begunForm = z.object({
  signature: z.string(),
  purpose: z.enum(['exchange', 'hand-out', 'head']),
  keyId: z.string(),
  algorithm: z.enum(['PS256', 'RS256']),
  digest: z.string(),
}) satisfies z.ZodType<
  Pick<SignatureBegun, 'signature' | 'purpose' | 'keyId' | 'algorithm' | 'digest'>
>

const madeForm = z.object({ signature: z.string(), signatureSha256: z.string() })
const failedForm = z.object({ signature: z.string(), applied: z.enum(['no', 'unknown']) })
const provedForm = z.object({
  signature: z.string(),
  signingInput: z.string(),
  signatureValue: z.string(),
}) satisfies z.ZodType<Pick<SignatureProved, 'signature' | 'signingInput' | 'signatureValue'>>
const headForm = z.object({ signature: z.string(), head: z.string() })

interface Begun {
  readonly purpose: SignatureBegun['purpose']
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  readonly digest: string
  signatureSha256?: string
}

interface KnownCertificate {
  readonly publicKey: KeyObject
  readonly isGiven: boolean
}

/** All that a service may have to prove, several times over; some 400 bytes each. */
const openMax = 500_000

/**
 * @param given Certificates from somewhere else; where there are any, no others count.
 * @param isPruned Whether entries are missing before the first, so that some signatures have no begin here.
 */
export function createProofChecks(
  given: readonly X509Certificate[],
  isPruned: boolean,
): ProofChecks {
  const open = new Map<string, Begun>()
  const certificates = new Map<string, KnownCertificate>()
  const givenThumbprints = new Set(given.map(({ raw }) => sha256Base64url(raw)))
  const counts = { verified: 0, withGiven: 0, withoutCertificate: 0, withoutBegin: 0 }
  let areForgotten = isPruned

  const begin = ({ signature, ...begun }: z.output<typeof begunForm>) => {
    open.set(signature, begun)
    if (open.size <= openMax) return
    const [oldest = ''] = open.keys()
    open.delete(oldest)
    areForgotten = true
  }

  /** That these bytes are what was begun and made under that id. */
  const close = (
    id: string,
    signingInput: string,
    value: Uint8Array,
  ): { readonly begun?: Begun; readonly fault?: string } => {
    const begun = open.get(id)
    open.delete(id)
    if (begun === undefined) return areForgotten ? {} : { fault: 'it was never begun' }
    if (sha256Base64url(signingInput) !== begun.digest) {
      return { begun, fault: 'what was signed is not what was begun' }
    }
    const isMade = begun.signatureSha256 === sha256Base64url(value)
    return isMade ? { begun } : { begun, fault: 'the signature is not the one that was made' }
  }

  const prove = ({
    signature,
    signingInput,
    signatureValue,
  }: z.output<typeof provedForm>): string | undefined => {
    const value = Buffer.from(signatureValue, 'base64url')
    const { begun, fault } = close(signature, signingInput, value)
    if (fault !== undefined) return fault
    if (begun === undefined) {
      counts.withoutBegin += 1
      return undefined
    }
    const certificate = certificates.get(begun.keyId)
    if (certificate === undefined || (given.length > 0 && !certificate.isGiven)) {
      counts.withoutCertificate += 1
      return undefined
    }
    if (!verifies(begun.algorithm, signingInput, value, certificate.publicKey)) {
      return 'its signature does not verify with the certificate'
    }
    counts.verified += 1
    if (certificate.isGiven) counts.withGiven += 1
    return undefined
  }

  const load = (entry: z.output<typeof certificateForm>): string | undefined => {
    const der = Buffer.from(entry.der, 'base64')
    const publicKey = publicKeyIn(der)
    if (publicKey === undefined || sha256Base64url(der) !== entry.thumbprintSha256) {
      return 'its certificate is none, or another than it says'
    }
    certificates.set(entry.keyId, {
      publicKey,
      isGiven: givenThumbprints.has(entry.thumbprintSha256),
    })
    return undefined
  }

  const makeOrFail = (kind: string, entry: unknown): string | undefined => {
    if (kind === 'signature.made') {
      const { data } = madeForm.safeParse(entry)
      const begun = open.get(data?.signature ?? '')
      if (begun !== undefined && data !== undefined) begun.signatureSha256 = data.signatureSha256
      return data === undefined ? notOurs : undefined
    }
    const { data } = failedForm.safeParse(entry)
    // Nobody holds the signature of a lost reply: there is nothing to prove.
    open.delete(data?.signature ?? '')
    return data === undefined ? notOurs : undefined
  }

  return {
    take: (kind, entry) => {
      switch (kind) {
        case 'certificate.loaded':
          return withForm(certificateForm, entry, load)
        case 'signature.begun':
          return withForm(begunForm, entry, (begun) => {
            begin(begun)
            return undefined
          })
        case 'signature.made':
        case 'signature.failed':
          return makeOrFail(kind, entry)
        case 'signature.proved':
          return withForm(provedForm, entry, prove)
        case 'head.signed':
          return withForm(headForm, entry, ({ signature, head }) => {
            const cut = head.lastIndexOf('.')
            const value = Buffer.from(head.slice(cut + 1), 'base64url')
            return close(signature, head.slice(0, cut), value).fault
          })
        default:
          return undefined
      }
    },
    counts: () => {
      const left = [...open.values()]
      const isOpen = ({ purpose, signatureSha256 }: Begun) =>
        purpose !== 'head' && signatureSha256 !== undefined
      return { ...counts, open: left.filter(isOpen).length }
    },
  }
}

const notOurs = 'it is not what the service writes'

function withForm<Form extends z.ZodType>(
  form: Form,
  entry: unknown,
  act: (data: z.output<Form>) => string | undefined,
): string | undefined {
  const { success, data } = form.safeParse(entry)
  return success ? act(data) : notOurs
}

function verifies(
  algorithm: SignatureAlgorithm,
  signingInput: string,
  value: Uint8Array,
  key: KeyObject,
): boolean {
  const padding =
    algorithm === 'PS256'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      : { padding: constants.RSA_PKCS1_PADDING }
  return verify('sha256', Buffer.from(signingInput, 'ascii'), { key, ...padding }, value)
}

function publicKeyIn(der: Buffer): KeyObject | undefined {
  try {
    const { publicKey } = new X509Certificate(der)
    return publicKey.asymmetricKeyType === 'rsa' ? publicKey : undefined
  } catch {
    return undefined
  }
}
