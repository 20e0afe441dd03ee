import type { X509Certificate } from 'node:crypto'
import { isoTimeFrom } from '../base/clock.ts'
import { authorityFaultOf } from '../x509/authority-fault.ts'
import { certificateFactsFrom } from '../x509/certificate-facts.ts'
import { isStrongKey } from '../x509/strong-key.ts'
import type { Validity } from '../x509/validity.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'

/** The CAs of one issuer of kind mtls, as its file has them. */
export interface CallerAuthorities {
  readonly issuer: string
  readonly caFile: YamlPart
  readonly certificates: readonly X509Certificate[]
}

/**
 * What certificates of callers are judged by is looked at before anybody shows one: CAs that could prove
 * nobody, and those of which nobody could say for whom they vouch.
 *
 * A CA that proves nobody is a warning where time or its own words are why: the others of its file go on.
 */
export function checkCallerAuthorities(
  all: readonly CallerAuthorities[],
  nowSeconds: number,
): void {
  checkKeys(all)
  for (const { caFile, certificates } of all) {
    const authorities = certificates.filter(({ ca }) => ca)
    if (authorities.length < certificates.length) reportNoAuthority(caFile)
    for (const why of new Set(authorities.map(whyNobody))) {
      if (why !== undefined) reportNobody(caFile, why)
    }
    for (const time of timesOf(authorities, nowSeconds * 1000)) reportTime(caFile, time)
  }
  for (const below of all) {
    for (const above of all) {
      if (above.issuer !== below.issuer && isBelow(below, above)) reportBelow(below, above)
    }
  }
}

/**
 * By their keys, since one key can have many certificates: what it signs would be a certificate of either
 * issuer, and prove nobody.
 */
function checkKeys(all: readonly CallerAuthorities[]): void {
  const issuerOfKey = new Map<string, string>()
  for (const { issuer, caFile, certificates } of all) {
    const keys = certificates.map(keyOf)
    const others = new Set(keys.map((key) => issuerOfKey.get(key)))
    for (const key of keys) if (!issuerOfKey.has(key)) issuerOfKey.set(key, issuer)
    for (const other of others) if (other !== undefined) reportSameAuthority(caFile, other)
  }
}

const keyOf = ({ publicKey }: X509Certificate) =>
  publicKey.export({ type: 'spki', format: 'der' }).toString('base64')

/** As a path to it would be judged, whoever stands below. */
function whyNobody(authority: X509Certificate): string | undefined {
  const facts = certificateFactsFrom(authority)
  if (facts === undefined) return 'is written in a form that is not read here'
  switch (authorityFaultOf(facts)) {
    case 'signed by a certificate that is no CA':
      return 'must not sign certificates, by its own key usage'
    case 'signed by a CA that is not for clients':
      return 'is not for clients, by its own extended key usage'
    case 'a demand that is not understood':
      return 'constrains names or policies, which is not looked at here'
    case undefined:
      return isStrongKey(authority.publicKey) ? undefined : 'has a weak key'
  }
}

type AuthorityTime = { readonly is: 'over' | 'to come'; readonly atMs: number }

/** Of CAs of which no certificate is in date: while one is renewed, it has two with one key. */
function timesOf(authorities: readonly X509Certificate[], nowMs: number): readonly AuthorityTime[] {
  const readable = authorities.flatMap((authority) => {
    const facts = certificateFactsFrom(authority)
    return facts === undefined ? [] : [{ key: keyOf(authority), validity: facts.validity }]
  })
  const byKey = Map.groupBy(readable, ({ key }) => key)
  return [...byKey.values()].flatMap((renewals) => {
    const times = renewals.map(({ validity }) => timeOf(validity, nowMs))
    const [first] = times.filter((time) => time !== undefined)
    return first === undefined || times.includes(undefined) ? [] : [first]
  })
}

function timeOf({ notBeforeMs, notAfterMs }: Validity, nowMs: number): AuthorityTime | undefined {
  if (nowMs >= notAfterMs) return { is: 'over', atMs: notAfterMs }
  return nowMs < notBeforeMs ? { is: 'to come', atMs: notBeforeMs } : undefined
}

const isBelow = (below: CallerAuthorities, above: CallerAuthorities) =>
  below.certificates.some(
    (one) => one.ca && above.certificates.some((other) => isSignedBy(one, other)),
  )

function isSignedBy(one: X509Certificate, other: X509Certificate): boolean {
  try {
    return keyOf(one) !== keyOf(other) && one.checkIssued(other) && one.verify(other.publicKey)
  } catch {
    // A key that OpenSSL cannot verify with has signed nothing.
    return false
  }
}

function reportNoAuthority(caFile: YamlPart): void {
  caFile.report(
    'not-a-ca',
    `The file of \`${caFile.name}\` has a certificate that is none of a CA: remove it, and name the CA that signs the certificates of callers.`,
  )
}

function reportSameAuthority(caFile: YamlPart, other: string): void {
  caFile.report(
    'same-ca',
    `The file of \`${caFile.name}\` has a CA of issuer ${other} too, so nobody could say which of them vouches: keep it under one name.`,
  )
}

function reportNobody(caFile: YamlPart, why: string): void {
  caFile.report(
    'ca-proves-nobody',
    `The file of \`${caFile.name}\` has a CA that ${why}, so no certificate of it proves anybody: remove it, or name another one.`,
    'warning',
  )
}

function reportTime(caFile: YamlPart, { is, atMs }: AuthorityTime): void {
  const since = is === 'over' ? 'ended at' : 'begins at'
  caFile.report(
    'ca-out-of-date',
    `The file of \`${caFile.name}\` has a CA that ${since} ${isoTimeFrom(atMs)}, so no certificate of it proves anybody now: renew it, or remove it.`,
    'warning',
  )
}

function reportBelow({ caFile }: CallerAuthorities, above: CallerAuthorities): void {
  caFile.report(
    'ca-below-another',
    `The file of \`${caFile.name}\` has a CA that one of issuer ${above.issuer} has signed: whoever sends it along is vouched for by both, and proven by neither. Keep them under one name, or give each issuer roots of its own.`,
    'warning',
  )
}
