import { connect } from 'node:net'

/** One request, sent again and again over each connection as soon as it is answered. */
export interface LoadPlan {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Whole request bytes; connections take them in turn. */
  readonly requests: readonly Buffer[]
  readonly durationMs: number
  /**
   * How long to send before anything is measured: connections that are accepted, and caches that are cold
   * because another contender had its turn, say nothing of how the server is when it has been running.
   */
  readonly settleMs?: number
  /** Each connection ends after so many; absent: when time is up. */
  readonly requestsPerConnection?: number
  /** Requests per second over all connections; absent: as fast as answers come. */
  readonly ratePerSecond?: number
}

export interface LoadResult {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly answered: number
  /** Answers with another status than 200. */
  readonly refused: number
}

/** Speaks just enough HTTP/1.1 to cost less than what it measures: fixed bytes out, lengths in. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const latencies: number[] = []
  let refused = 0
  const connections = await Promise.all(
    Array.from({ length: plan.connections }, () => connected(plan.host, plan.port)),
  )
  const startedMs = performance.now()
  const measuredFromMs = startedMs + (plan.settleMs ?? 0)
  const deadlineMs = measuredFromMs + plan.durationMs
  const gapMs =
    plan.ratePerSecond === undefined ? 0 : (plan.connections / plan.ratePerSecond) * 1000
  let next = 0

  const drive = async (first: Connection, index: number) => {
    let connection = first
    let dueMs = startedMs + (gapMs * index) / plan.connections
    let left = plan.requestsPerConnection ?? Number.POSITIVE_INFINITY
    while (left-- > 0 && performance.now() < deadlineMs) {
      if (gapMs > 0) {
        const waitMs = dueMs - performance.now()
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
      // Late is late: with a rate, time counts from when the request was due.
      const fromMs = gapMs > 0 ? dueMs : performance.now()
      dueMs += gapMs
      const request = plan.requests[next++ % plan.requests.length]
      if (request === undefined) throw new RangeError('a plan needs requests')
      const { status, closes } = await connection.ask(request)
      if (status !== 200) refused += 1
      if (fromMs >= measuredFromMs) latencies.push(performance.now() - fromMs)
      if (closes) connection = await connected(plan.host, plan.port)
    }
    connection.end()
  }
  await Promise.all(connections.map(drive))

  const seconds = (performance.now() - measuredFromMs) / 1000
  latencies.sort((a, b) => a - b)
  return {
    perSecond: latencies.length / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    answered: latencies.length,
    refused,
  }
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

interface Connection {
  /** What the answer says, once all of it is there; one request at a time. */
  ask(request: Buffer): Promise<AnswerHead>
  end(): void
}

/** More than an answer and its header, so that one is seldom read in parts. */
const readBytes = 8 * 1024

/**
 * Reads into one buffer again and again: a new one for each answer, which is what streams do, is paid for
 * in collections of garbage, by whoever shares the processors.
 */
function connected(host: string, port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const reader = createAnswerReader()
    const onread = {
      buffer: Buffer.allocUnsafe(readBytes),
      callback: (bytes: number, buffer: Uint8Array) => {
        reader.take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
        return true
      },
    }
    const socket = connect({ host, port, noDelay: true, onread }, () => {
      resolve({
        ask: (request) => {
          socket.write(request)
          return reader.next()
        },
        end: () => socket.destroy(),
      })
    })
    socket.once('error', (error) => {
      reject(error)
      reader.fail(error)
    })
    socket.once('close', () => {
      reader.fail(new Error('the server closed the connection'))
    })
  })
}

/** Whole requests for a path, ready to be written. */
export function requestBytes(
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Buffer {
  const lines = Object.entries({
    host: 'localhost',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

interface AnswerHead {
  readonly status: number
  /** It is the last on its connection. */
  readonly closes: boolean
}

interface AnswerReader {
  next(): Promise<AnswerHead>
  /** What has come, which is only looked at until this returns. */
  take(chunk: Buffer): void
  fail(error: Error): void
}

const headerEnd = Buffer.from('\r\n\r\n')

function createAnswerReader(): AnswerReader {
  /** Of an answer that has come in part. */
  let before: Buffer | undefined
  let waiting: PromiseWithResolvers<AnswerHead> | undefined

  return {
    next: () => {
      waiting = Promise.withResolvers()
      return waiting.promise
    },
    take: (chunk) => {
      const bytes = before === undefined ? chunk : Buffer.concat([before, chunk])
      const head = wholeAnswer(bytes)
      before = head === undefined ? Buffer.from(bytes) : undefined
      if (head !== undefined) waiting?.resolve(head)
    },
    fail: (error) => {
      waiting?.reject(error)
    },
  }
}

/**
 * Undefined while some of it is missing.
 *
 * @throws Error when it does not say how long it is.
 */
function wholeAnswer(bytes: Buffer): AnswerHead | undefined {
  const end = bytes.indexOf(headerEnd)
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined) throw new Error(`an answer without a length: ${head}`)
  if (bytes.length < end + headerEnd.length + Number(length)) return undefined
  return {
    status: Number(head.slice(9, 12)),
    closes: /\r\nconnection: close(?:\r|$)/i.test(head),
  }
}
