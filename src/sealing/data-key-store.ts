import type { WrappedDataKey } from './data-key.ts'

/**
 * Where the data keys are that all replicas seal with, wrapped. There is never more than one of a
 * generation, and none is ever changed. What was added is seen by every replica, and is durable.
 *
 * Who reads it learns nothing. Who writes it is trusted: together with the public half of the wrapping
 * key they could add a data key of their own.
 */
export interface DataKeyStore {
  /** The newest generation; undefined while there is none. */
  latest(): Promise<WrappedDataKey | undefined>
  /** Undefined when there is no such generation, or not any more. */
  find(generation: number): Promise<WrappedDataKey | undefined>
  /**
   * Adds the row, unless a generation as new or newer is there; of several who add the same one, one
   * succeeds. When it is added, those that were made before a moment are removed in the same step.
   *
   * @returns What is the newest then: the row, or that of whoever was quicker.
   */
  addNewest(row: WrappedDataKey, removeMadeBeforeSeconds: number): Promise<WrappedDataKey>
}
