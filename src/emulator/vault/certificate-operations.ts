import { certificateBundle, certificatePolicy } from './bundles.ts'
import type { Performed, VaultContent, VaultObject } from './performed.ts'

export const getCertificate = ({ origin }: VaultContent, object: VaultObject): Performed => ({
  ok: true,
  body: certificateBundle(origin, object.certificate, object.version),
})

export const getCertificatePolicy = ({ origin }: VaultContent, object: VaultObject): Performed => ({
  ok: true,
  body: certificatePolicy(origin, object.certificate, object.version),
})
