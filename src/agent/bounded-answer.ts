import type { Dispatcher } from 'undici'
import { withDeadline } from '../base/deadline.ts'
import { parseJson } from '../base/parse-json.ts'
import { parseRetryAfter, wholeAnswer } from '../base/whole-answer.ts'

/** Tokens are a few KiB; whatever we ask sends less than this. */
const answerBytesMax = 256 * 1024

/** Status, what it asks of us, and the parsed body: undefined when it is no JSON. */
export interface BoundedAnswer {
  readonly status: number
  readonly retryAfterSeconds: number | undefined
  readonly body: unknown
}

/** @throws Error when it takes longer, or is longer than anything that we could have asked for. */
export async function boundedAnswer(
  dispatcher: Dispatcher,
  order: Dispatcher.DispatchOptions,
  timeoutMs: number,
): Promise<BoundedAnswer> {
  const { status, headers, body } = await withDeadline(timeoutMs, (signal) =>
    wholeAnswer(dispatcher, order, { signal, bytesMax: answerBytesMax }),
  )
  return {
    status,
    retryAfterSeconds: parseRetryAfter(headers['retry-after']),
    body: parseJson(body.toString('utf8')),
  }
}
