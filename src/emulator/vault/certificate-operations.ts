import { certificateBundle, certificatePolicy } from './bundles.ts'
import type { Performed, VaultCertificate, VaultContent } from './performed.ts'

export const getCertificate = (
  { origin }: VaultContent,
  certificate: VaultCertificate,
): Performed => ({ ok: true, body: certificateBundle(origin, certificate) })

export const getCertificatePolicy = (
  { origin }: VaultContent,
  certificate: VaultCertificate,
): Performed => ({ ok: true, body: certificatePolicy(origin, certificate) })
