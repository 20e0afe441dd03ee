/**
 * Whether an error of one of our boundaries says that it got no answer, so that asking again is the right
 * thing to do; a wrong answer stays wrong.
 */
export const isTransient = (error: unknown): boolean =>
  error instanceof Error && 'transient' in error && error.transient === true
