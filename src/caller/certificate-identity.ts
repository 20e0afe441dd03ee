import type { ClientCertificate } from './caller.ts'
import type { AlternativeName, CertificateFacts } from '../x509/certificate-facts.ts'
import type { CertificateIdentity, MtlsIssuerSettings } from './issuer-settings.ts'
import { trustDomainIn } from './spiffe-id.ts'

export type IdentityFinding =
  | {
      readonly ok: true
      readonly subject: string
      readonly claims: Readonly<Partial<Record<CertificateIdentity, string>>>
    }
  | { readonly ok: false; readonly fault: IdentityFault }

/** In our words alone: names in a certificate are its holder's. */
export type IdentityFault =
  | `no ${AlternativeName} in it`
  | `more than one ${AlternativeName} in it`
  | `a ${AlternativeName} that names nobody`
  | 'another trust domain'

/** As long as a SPIFFE ID may be; other names are shorter. */
const nameCharactersMax = 2048

/**
 * Who the holder of a certificate is, by the one part of it that the operator named: two names of that
 * kind would let its holder choose, so there has to be exactly one. The thumbprint is a claim in any case.
 */
export function certificateIdentityFrom(
  { chain: [own] }: ClientCertificate,
  { names }: CertificateFacts,
  { identity, trustDomain }: Pick<MtlsIssuerSettings, 'identity' | 'trustDomain'>,
): IdentityFinding {
  const thumbprint = thumbprintFrom(own?.fingerprint256 ?? '')
  if (identity === 'thumbprint') return { ok: true, subject: thumbprint, claims: { thumbprint } }
  const [name, another] = names[identity]
  if (name === undefined) return { ok: false, fault: `no ${identity} in it` }
  if (another !== undefined) return { ok: false, fault: `more than one ${identity} in it` }
  const subject = subjectFrom[identity](name)
  if (subject === undefined) return { ok: false, fault: `a ${identity} that names nobody` }
  if (trustDomain !== undefined && trustDomainOfWorkload(subject) !== trustDomain) {
    return { ok: false, fault: 'another trust domain' }
  }
  return { ok: true, subject: subject.slice(0, 512), claims: { [identity]: subject, thumbprint } }
}

/** As `openssl x509 -fingerprint -sha256` has it, without colons and in lower case. */
const thumbprintFrom = (fingerprint: string) => fingerprint.replaceAll(':', '').toLowerCase()

/** The name in the one form that grants compare; undefined for what could be taken for another's, or for many. */
const subjectFrom: Readonly<Record<AlternativeName, (name: string) => string | undefined>> = {
  uri: (name) => {
    const isSpiffe = name.toLowerCase().startsWith('spiffe:')
    const isNormal = isSpiffe
      ? trustDomainIn(name) !== undefined
      : /^[A-Za-z][\w+.-]*:\S+$/.test(name)
    return isNormal && name.length <= nameCharactersMax ? name : undefined
  },
  // Case means nothing in it (RFC 4343), and a wildcard is nobody's name.
  dns: (name) => (/^[\w.-]{1,253}$/.test(name) ? name.toLowerCase() : undefined),
  email: (name) => (/^[^@]{1,64}@[\w.-]{1,253}$/.test(name) ? name : undefined),
}

/** A trust domain alone is the name of its CA, not of a workload (X.509-SVID §3). */
function trustDomainOfWorkload(uri: string): string | undefined {
  const origin = trustDomainIn(uri)
  return origin === undefined || origin === uri ? undefined : origin.slice('spiffe://'.length)
}
