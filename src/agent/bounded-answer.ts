import type { Dispatcher } from 'undici'

/** Tokens are a few KiB; whatever we ask sends less than this. */
const answerBytesMax = 256 * 1024

/** Status, what it asks of us, and the parsed body: undefined when it is no JSON. */
export interface BoundedAnswer {
  readonly status: number
  readonly retryAfterSeconds: number | undefined
  readonly body: unknown
}

/** @throws Error when it is longer than anything that we could have asked for. */
export async function boundedAnswer(response: Dispatcher.ResponseData): Promise<BoundedAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new RangeError('the answer is longer than any of ours')
    chunks.push(chunk)
  }
  return {
    status: response.statusCode,
    retryAfterSeconds: secondsFrom(response.headers['retry-after']),
    body: parseJson(Buffer.concat(chunks).toString('utf8')),
  }
}

/** Seconds alone; a date is not taken, so that no clock need agree. */
const secondsFrom = (header: string | string[] | undefined) =>
  typeof header === 'string' && /^\d{1,5}$/.test(header) ? Number(header) : undefined

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // Whoever looks at it refuses what is not JSON, with a code of their own.
    return undefined
  }
}
