import { z } from 'zod'

/** What a token should say. Everything left out is as a real job or pod of that kind would have it. */
export const mintOrderSchema = z.strictObject({
  /** Put over the defaults, one by one at the top level; null leaves a claim out. */
  claims: z.record(z.string(), z.unknown()).default({}),
  audience: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  lifetimeSeconds: z.int().min(1).max(86_400).optional(),
  /**
   * GitHub: how `sub` names the repository. Repositories created, renamed or transferred after 15 July
   * 2026 have `immutable`, which carries ids beside the names.
   */
  subject: z.enum(['by-name', 'immutable']).default('by-name'),
  /** One thing wrong with the token, everything else right. */
  wrong: z
    .enum([
      'signature', // one bit of it changed
      'unknown-key', // signed with a key that the JWKS never shows
      'embedded-key', // the same, with that key in the header
      'algorithm-none', // unsigned
      'algorithm-hs256', // keyed with the public key, as a verifier that trusts `alg` would check it
      'expired',
      'not-yet-valid',
      'issuer',
      'audience',
    ])
    .optional(),
})

export type MintOrder = z.output<typeof mintOrderSchema>
export type WrongToken = NonNullable<MintOrder['wrong']>
