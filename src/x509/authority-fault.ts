import type { CertificateFacts } from './certificate-facts.ts'

/** Why nothing that a certificate has signed proves a client. */
export type AuthorityFault =
  | 'signed by a certificate that is no CA'
  | 'signed by a CA that is not for clients'
  | 'a demand that is not understood'

/** What is true of it wherever it stands, and at any time. */
export function authorityFaultOf({
  isAuthority,
  keyUsage,
  clientAuthentication,
  demandsMore,
}: CertificateFacts): AuthorityFault | undefined {
  if (!isAuthority || keyUsage?.keyCertSign === false) {
    return 'signed by a certificate that is no CA'
  }
  if (clientAuthentication === false) return 'signed by a CA that is not for clients'
  return demandsMore ? 'a demand that is not understood' : undefined
}
