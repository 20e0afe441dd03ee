import { setFlagsFromString } from 'node:v8'

/**
 * For a verb that streams: V8 keeps the part of its heap where objects are made as large as it is, some megabytes,
 * and does not let it grow to 64 MB, as it would do in the course of time although hardly an object lives on. To be
 * called before the work, for all of the process. V8 looks at it whenever that part would grow.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
