import { z } from 'zod'
import { type Clock, instantNow, laterBy } from '../base/clock.ts'
import { parseAttemptId } from '../base/ids.ts'
import { parseJson } from '../base/parse-json.ts'
import { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { obtainedAtMs } from './refresh-time.ts'
import type { CachedToken } from './token-cache.ts'

/** A token as replicas tell it one another, before it is sealed and after it was opened. */
const form = z.object({
  token: z.string().min(1),
  lifetimeSeconds: z.number().nonnegative(),
  refreshInSeconds: z.number().nonnegative().optional(),
  obtainedBy: z.string().transform((text, context) => {
    const attempt = parseAttemptId(text)
    if (attempt !== undefined) return attempt
    context.addIssue('an attempt')
    return z.NEVER
  }),
  keyId: z.string(),
  grant: z.string(),
  /** From when its exchange was sent until it was sealed. */
  elapsedMs: z.number().nonnegative(),
  /** Obtained because a resource took offence at an older one. */
  forced: z.boolean(),
})

/** What was opened, and how much can be made of it. */
export interface SharedToken {
  readonly token: CachedToken
  readonly forced: boolean
  /** That it was obtained for. */
  readonly grant: string
}

export function sharedForm(
  token: CachedToken,
  { grant, forced }: Pick<SharedToken, 'grant' | 'forced'>,
  clock: Clock,
): Buffer {
  const { value, lifetimeSeconds, refreshInSeconds, obtainedBy, keyId } = token
  const plain: z.input<typeof form> = {
    token: value.reveal(),
    lifetimeSeconds,
    ...(refreshInSeconds === undefined ? {} : { refreshInSeconds }),
    obtainedBy,
    keyId,
    grant,
    elapsedMs: Math.max(0, clock.monotonicMs() - obtainedAtMs(token)),
    forced,
  }
  return Buffer.from(JSON.stringify(plain))
}

/**
 * The token, its end as this replica may trust it: what our wall clock says, or what the store's clock
 * has counted, whichever is sooner. Undefined when it is in no form that we know.
 *
 * @param ageMs Since it was stored, by the store's clock, which nobody vouches for.
 */
export function parseSharedForm(
  plaintext: Buffer,
  { expiresAtSeconds, ageMs }: { readonly expiresAtSeconds: number; readonly ageMs: number },
  clock: Clock,
): SharedToken | undefined {
  const parsed = form.safeParse(parseJson(plaintext.toString('utf8')))
  if (!parsed.success) return undefined
  const { token, elapsedMs, forced, grant, refreshInSeconds, ...facts } = parsed.data
  const now = instantNow(clock)
  const countedMs = facts.lifetimeSeconds * 1000 - elapsedMs - Math.max(0, ageMs)
  const remainingMs = Math.min(countedMs, expiresAtSeconds * 1000 - now.ms)
  return {
    forced,
    grant,
    token: {
      ...facts,
      ...(refreshInSeconds === undefined ? {} : { refreshInSeconds }),
      value: new Secret(token),
      expiresAtSeconds,
      expiry: laterBy(remainingMs, now),
      sha256: sha256Base64url(token),
    },
  }
}
