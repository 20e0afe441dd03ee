import type { X509Certificate } from 'node:crypto'
import { type AuthorityFault, authorityFaultOf } from '../x509/authority-fault.ts'
import { type CertificateFacts, certificateFactsFrom } from '../x509/certificate-facts.ts'
import { isStrongKey } from '../x509/strong-key.ts'

/** A client's certificate that a CA of one issuer vouches for, and when all of its path is valid. */
export interface ProvenPath {
  readonly facts: CertificateFacts
  /** Of all certificates of the path, the anchor too: from the latest beginning to the earliest end. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Why a certificate that a CA of the issuer stands above proves nobody. In our words alone. */
export type PathFault =
  | 'the certificate of a CA'
  | 'not for clients'
  | 'a certificate of an unknown form'
  | 'a demand that is not understood'
  | 'a weak key or signature'
  | 'too many CAs'
  | AuthorityFault

export type PathFinding =
  | { readonly found: 'path'; readonly path: ProvenPath }
  | { readonly found: 'fault'; readonly fault: PathFault }

/** Ours: a client's own and three CAs below the anchor are more than anybody has; each costs a signature. */
const sentMax = 4

/**
 * Follows what a client sent to one of the anchors (RFC 5280 §6), by signature: names alone say nothing,
 * since anybody can give a CA the name of another one. What was sent must be in order, each certificate
 * signed by the next (RFC 5246 §7.4.2), so there is one path to look at and no search that a stranger
 * could make long. Pure but for times, which are told and not judged.
 *
 * Whatever is not understood is refused: name constraints, policies that must hold, extensions of others.
 *
 * @param chain As sent, the client's own first.
 * @param anchors Each of them is trusted by itself, whoever signed it.
 * @returns One for each anchor that signed the same: a CA whose certificate was renewed has two for a while,
 *   with one key. None where no anchor stands above.
 */
export function findPaths(
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): readonly PathFinding[] {
  return pathsBySignature(chain, anchors).map(findingOf)
}

function findingOf(path: readonly X509Certificate[]): PathFinding {
  const facts = path.map(certificateFactsFrom)
  const [own, ...authorities] = facts
  if (own === undefined || !areKnown(authorities)) {
    return { found: 'fault', fault: 'a certificate of an unknown form' }
  }
  const fault =
    faultOfClient(own) ?? faultOfAuthorities(authorities) ?? faultOfStrength(path, facts)
  if (fault !== undefined) return { found: 'fault', fault }
  const times = [own, ...authorities].map(({ validity }) => validity)
  const notBeforeMs = Math.max(...times.map((one) => one.notBeforeMs))
  const notAfterMs = Math.min(...times.map((one) => one.notAfterMs))
  return { found: 'path', path: { facts: own, notBeforeMs, notAfterMs } }
}

const areKnown = (
  facts: readonly (CertificateFacts | undefined)[],
): facts is readonly CertificateFacts[] => !facts.includes(undefined)

/** Each from the client's own to an anchor, both included. */
function pathsBySignature(
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): readonly (readonly X509Certificate[])[] {
  const path: X509Certificate[] = []
  for (const certificate of chain.slice(0, sentMax)) {
    const below = path.at(-1)
    if (below !== undefined && !isSignedBy(below, certificate)) return []
    path.push(certificate)
    const above = anchors.filter((one) => isSignedBy(certificate, one))
    if (above.length > 0) return above.map((anchor) => [...path, anchor])
  }
  return []
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  try {
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
  } catch {
    // A key that OpenSSL cannot verify with has signed nothing.
    return false
  }
}

function faultOfClient(own: CertificateFacts): PathFault | undefined {
  if (own.isAuthority || own.keyUsage?.keyCertSign === true) return 'the certificate of a CA'
  if (own.demandsMore) return 'a demand that is not understood'
  // Every certificate of a server would be one of a client, if those that do not say were taken.
  if (own.clientAuthentication !== true) return 'not for clients'
  return own.keyUsage?.digitalSignature === false ? 'not for clients' : undefined
}

function faultOfAuthorities(authorities: readonly CertificateFacts[]): PathFault | undefined {
  for (const [below, authority] of authorities.entries()) {
    const fault = authorityFaultOf(authority)
    if (fault !== undefined) return fault
    if (below > (authority.pathLength ?? Infinity)) return 'too many CAs'
  }
  return undefined
}

/** The anchor's own signature is not looked at: the operator vouches for it. */
function faultOfStrength(
  path: readonly X509Certificate[],
  facts: readonly (CertificateFacts | undefined)[],
): PathFault | undefined {
  const signed = facts.slice(0, -1).every((one) => one?.signature === 'strong')
  const keyed = path.every(({ publicKey }) => isStrongKey(publicKey))
  return signed && keyed ? undefined : 'a weak key or signature'
}
