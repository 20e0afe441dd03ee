import { type Patience, TokenCacheError } from './token-cache.ts'

/**
 * Waits for what somebody else does, and leaves it to them when patience ends.
 *
 * @throws TokenCacheError then; otherwise whatever the work throws.
 */
export async function waitFor<T>(work: Promise<T>, { timeoutMs, gone }: Patience): Promise<T> {
  const left = Promise.withResolvers<never>()
  const leave = () => {
    left.reject(new TokenCacheError('TOKEN_CALLER_GONE'))
  }
  const timer = setTimeout(() => {
    left.reject(new TokenCacheError('TOKEN_LATE'))
  }, timeoutMs)
  if (gone?.aborted === true) leave()
  gone?.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([work, left.promise])
  } finally {
    clearTimeout(timer)
    gone?.removeEventListener('abort', leave)
  }
}
