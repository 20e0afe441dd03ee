/**
 * Where the policy is that all replicas have in force: the newest generation. None is ever changed, and
 * going back to what was in force before is a new one. What was published is seen by every replica, and is
 * durable.
 *
 * Who writes it decides what is allowed: it is as trusted as the folders of grants are.
 */
export interface PolicyGenerations {
  /** What there is of the policy with this hash, and of the newest, both at one moment. */
  find(sha256: string): Promise<GenerationsFound>
  /** Undefined when there is no such generation, or its texts are not kept any more. */
  read(generation: number): Promise<PolicyGeneration | undefined>
  /**
   * Adds the generation, if the newest is the one before it: of several who publish at once, one succeeds.
   * What is long over is removed in the same step, and never the generation itself.
   *
   * @returns false when it was not added: another one is the newest now.
   */
  publish(next: PolicyGeneration): Promise<boolean>
  /**
   * Calls the listener soon after another replica has published, as far as one hears of it: a hint, never the
   * only reason to look.
   *
   * @returns Ends that.
   */
  watch(listener: () => void): () => void
}

export interface GenerationName {
  /** 1 or more; each is one more than the one before. */
  readonly generation: number
  /** base64url of SHA-256 over the texts. */
  readonly sha256: string
}

export interface PolicyGeneration extends GenerationName {
  /** Names and texts of the grant files, as one text: `grantsText`. */
  readonly files: string
}

export interface GenerationsFound {
  /** Undefined while there is none. */
  readonly newest: GenerationName | undefined
  /** Those with the hash that was asked for, the oldest first. */
  readonly same: readonly number[]
}

/** How much is kept of what is over. */
export interface GenerationsKept {
  /** Newest generations whose texts are kept, for whoever asks what was allowed. */
  readonly texts: number
  /** Newest generations of which it is known that they are over; no fewer. */
  readonly hashes: number
}
