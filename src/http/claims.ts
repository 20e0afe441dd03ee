import { z } from 'zod'
import { parseStrictJsonObject } from '../caller/strict-json.ts'
import type { TokenClaims } from '../issuance/issuance.ts'
import { RequestProblem } from './request-problem.ts'

/** A claim that is asked for, and may be left out (OpenID Connect Core §5.5.1). */
const voluntary = z.looseObject({ essential: z.literal(false).optional() }).nullable()

/**
 * What is taken of a claims request (OpenID Connect Core §5.5): what clients declare, and what
 * resources challenge with, in continuous access evaluation. `essential` changes nothing in these two.
 * Resources say more beside them (`xms_caeerror`, `xms_rp_ipaddr`), and clients ask for claims of id
 * tokens; all that nobody insists on is passed over.
 */
const claimsForm = z.object({
  access_token: z
    .object({
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
    .catchall(voluntary)
    .refine(({ xms_cc, nbf }) => xms_cc !== undefined || nbf !== undefined),
})

/**
 * What a caller's `claims` come down to. Nothing of the text itself goes any further.
 *
 * @throws RequestProblem when they do not say what is taken, or insist on something else.
 */
export function tokenClaimsFrom(text: string | undefined): TokenClaims {
  if (text === undefined) return { isCapable: false }
  const json = parseStrictJsonObject(Buffer.from(text))
  const claims = json.ok ? claimsForm.safeParse(json.object).data : undefined
  if (claims === undefined) {
    throw new RequestProblem(
      'request_invalid',
      'The member claims must be JSON text, and what is taken in its access_token is ' +
        '"xms_cc": {"values": ["cp1"]} and "nbf": {"value": "SECONDS"}, one of them or both; ' +
        'nothing else may be essential.',
    )
  }
  const { xms_cc, nbf } = claims.access_token
  return {
    isCapable: xms_cc !== undefined,
    ...(nbf === undefined ? {} : { obtainedAfterSeconds: Number(nbf.value) }),
  }
}
