import { z } from 'zod'

/**
 * Where Microsoft documents no answer, the emulated token endpoint has a dial. The defaults are what
 * live traffic suggests, or the stricter way where it suggests nothing.
 */
export const tokenEndpointDialsSchema = z.strictObject({
  /** How far `nbf` and `exp` of an assertion may lie on the wrong side of now. No number is documented. */
  skewSeconds: z.int().min(0).max(3600).default(300),
  /** Whether one `jti` may be used again within its life. MSAL and the Azure CLI do so in practice. */
  replay: z.enum(['allowed', 'refused']).default('allowed'),
  /** Forms of `aud` that count as this tenant's token endpoint; only the first is documented. */
  audiences: z
    .array(z.enum(['v2-token-endpoint', 'v1-token-endpoint', 'v2-issuer', 'v1-issuer']))
    .min(1)
    .default(['v2-token-endpoint']),
  /** Whether `aud` may be an array of one. */
  audienceArray: z.enum(['accepted', 'refused']).default('refused'),
  /** Whether `kid` alone may name the certificate, by its SHA-1 or SHA-256 thumbprint. */
  keyIdOnly: z.enum(['accepted', 'refused']).default('accepted'),
  /** `any` looks at no `typ`; `jwt` refuses all but an absent one and `JWT`. */
  typ: z.enum(['any', 'jwt']).default('any'),
})

export type TokenEndpointDials = z.output<typeof tokenEndpointDialsSchema>

export type AudienceForm = TokenEndpointDials['audiences'][number]

/** The dials of a running emulator, turned through the control interface. */
export interface Dials {
  current(): TokenEndpointDials
  /** Those not named go back to their defaults. */
  set(dials: TokenEndpointDials): void
}

export function createDials(): Dials {
  let current = tokenEndpointDialsSchema.parse({})
  return {
    current: () => current,
    set: (dials) => {
      current = dials
    },
  }
}
