import { z } from 'zod'
import { parseStrictJsonObject } from '../caller/strict-json.ts'
import type { TokenClaims } from '../issuance/issuance.ts'
import { RequestProblem } from './request-problem.ts'

/**
 * All that is taken of a claims request (OpenID Connect Core §5.5): what clients declare, and what
 * resources challenge with, in continuous access evaluation. `essential` changes nothing here.
 */
const claimsForm = z.strictObject({
  access_token: z
    .strictObject({
      xms_cc: z
        .strictObject({
          essential: z.boolean().optional(),
          values: z.tuple([z.enum(['cp1', 'CP1'])]),
        })
        .optional(),
      nbf: z
        .strictObject({
          essential: z.boolean().optional(),
          value: z.string().regex(/^\d{1,11}$/),
        })
        .optional(),
    })
    .refine(({ xms_cc, nbf }) => xms_cc !== undefined || nbf !== undefined),
})

/**
 * What a caller's `claims` come down to. Nothing of the text itself goes any further.
 *
 * @throws RequestProblem when there is anything in them that is not taken.
 */
export function tokenClaimsFrom(text: string | undefined): TokenClaims {
  if (text === undefined) return { isCapable: false }
  const json = parseStrictJsonObject(Buffer.from(text))
  const claims = json.ok ? claimsForm.safeParse(json.object).data : undefined
  if (claims === undefined) {
    throw new RequestProblem(
      'request_invalid',
      'The member claims must be JSON text, and all that is taken in its access_token is ' +
        '"xms_cc": {"values": ["cp1"]} and "nbf": {"value": "SECONDS"}, one of them or both.',
    )
  }
  const { xms_cc, nbf } = claims.access_token
  return {
    isCapable: xms_cc !== undefined,
    ...(nbf === undefined ? {} : { obtainedAfterSeconds: Number(nbf.value) }),
  }
}
