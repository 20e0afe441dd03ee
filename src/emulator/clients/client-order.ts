import { z } from 'zod'

/** What a certificate should say. Everything left out is as a workload of a SPIFFE domain would have it. */
export const clientOrderSchema = z.strictObject({
  /** Subject alternative names: URIs, DNS names, mail addresses. */
  names: z.array(z.string().min(1)).default(['spiffe://fabrikam.example/billing/export']),
  lifetimeSeconds: z.int().min(1).max(31_536_000).default(3600),
  /** One thing wrong with the certificate or its path, everything else right. */
  wrong: z
    .enum([
      'expired',
      'not-yet-valid',
      'no-purpose', // no extended key usage
      'server-purpose', // extended key usage of a server alone
      'signs-certificates', // the certificate of a CA
      'self-signed',
      'other-authority', // of a CA with the same name and key identifier, and another key
      'authority-below', // signed by another client's certificate
    ])
    .optional(),
})

export type ClientOrder = z.output<typeof clientOrderSchema>
export type WrongCertificate = NonNullable<ClientOrder['wrong']>
