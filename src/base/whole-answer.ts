import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'

/** An answer over HTTP that was read to its end. */
export interface WholeAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface WholeAnswerOptions {
  /** Ends the request; absent: whoever asks has a time-out elsewhere. */
  readonly signal?: AbortSignal
  /** Absent: the dispatcher has a bound of its own. */
  readonly bytesMax?: number
}

/** Longer than whoever asked takes. */
export class AnswerTooLong extends Error {
  override readonly name = 'AnswerTooLong'
}

/**
 * Sends a request and reads its answer whole: without the stream that `dispatcher.request` makes of one.
 *
 * @throws AnswerTooLong, the signal's reason, or whatever the connection came to.
 */
export function wholeAnswer(
  dispatcher: Dispatcher,
  order: Dispatcher.DispatchOptions,
  { signal, bytesMax = Number.POSITIVE_INFINITY }: WholeAnswerOptions,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    let status = 0
    let headers: IncomingHttpHeaders = {}
    let stop: (() => void) | undefined
    const settled = () => {
      if (stop !== undefined) signal?.removeEventListener('abort', stop)
    }
    dispatcher.dispatch(order, {
      onRequestStart: (controller) => {
        stop = () => {
          controller.abort(abortReason(signal))
        }
        if (signal?.aborted === true) stop()
        else signal?.addEventListener('abort', stop)
      },
      // Once for each informational answer (RFC 9110 §15.2) too; the last one counts.
      onResponseStart: (_controller, statusCode, received) => {
        status = statusCode
        headers = received
      },
      onResponseData: (controller, chunk) => {
        bytes += chunk.length
        if (bytes > bytesMax) controller.abort(new AnswerTooLong(`more than ${bytesMax} bytes`))
        else chunks.push(chunk)
      },
      onResponseEnd: () => {
        settled()
        resolve({ status, headers, body: Buffer.concat(chunks) })
      },
      onResponseError: (_controller, error) => {
        settled()
        reject(error)
      },
    })
  })
}

/** Seconds alone; a date (RFC 9110 §10.2.3) is not taken, so that no clock need agree. */
export const parseRetryAfter = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined

const abortReason = (signal: AbortSignal | undefined): Error =>
  signal?.reason instanceof Error ? signal.reason : new DOMException('aborted', 'AbortError')
