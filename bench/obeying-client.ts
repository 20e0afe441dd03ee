/** What a service said, as far as it matters to whoever decides whether to come again. */
export interface Said {
  readonly status: number
  /** Of `Retry-After`; undefined when it did not say. */
  readonly retryAfterSeconds: number | undefined
}

export interface Obeyed {
  readonly isServed: boolean
  /** Answers that were none, whenever they said to come again. */
  readonly refusals: number
  /** Those of them that did not say when to come again; the last one then, because there is nothing to obey. */
  readonly withoutTime: number
}

export interface ObeyingDeps {
  readonly ask: () => Promise<Said>
  readonly nowMs: () => number
  readonly wait: (ms: number) => Promise<void>
}

/**
 * Asks until it is served, and comes back when it is told to: never sooner, and a little later by chance,
 * like everybody who does not want to come back with all the others. Gives up when it is told to wait
 * beyond its patience, and when it is not told.
 *
 * @param random 0 to 1.
 */
export async function askObeying(
  { ask, nowMs, wait }: ObeyingDeps,
  patienceMs: number,
  random: () => number,
): Promise<Obeyed> {
  const endsAtMs = nowMs() + patienceMs
  for (let refusals = 0; ; refusals += 1) {
    const { status, retryAfterSeconds } = await ask()
    if (status === 200) return { isServed: true, refusals, withoutTime: 0 }
    const refused = { isServed: false, refusals: refusals + 1 }
    if (retryAfterSeconds === undefined) return { ...refused, withoutTime: 1 }
    const waitMs = retryAfterSeconds * 1000 * (1 + random() / 4)
    if (nowMs() + waitMs > endsAtMs) return { ...refused, withoutTime: 0 }
    await wait(waitMs)
  }
}
