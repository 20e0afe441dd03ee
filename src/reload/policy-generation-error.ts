export type PolicyGenerationErrorCode =
  | 'POLICY_DAMAGED' // the newest generation is not what its hash says, or is not all there
  | 'POLICY_REWOUND' // the generation that is in force is not there any more, or is another one

/** What replicas share of the policy was changed outside of Countersign, and is not taken. */
export class PolicyGenerationError extends Error {
  override readonly name = 'PolicyGenerationError'
  readonly code: PolicyGenerationErrorCode
  readonly generation: number

  constructor(code: PolicyGenerationErrorCode, generation: number) {
    super(`${code}: generation ${generation} of the policy`)
    this.code = code
    this.generation = generation
  }
}
