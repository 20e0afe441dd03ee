import { connect, type Socket } from 'node:net'

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
  const sockets = await Promise.all(
    Array.from({ length: plan.connections }, () => connected(plan.host, plan.port)),
  )
  const startedMs = performance.now()
  const measuredFromMs = startedMs + (plan.settleMs ?? 0)
  const deadlineMs = measuredFromMs + plan.durationMs
  const gapMs =
    plan.ratePerSecond === undefined ? 0 : (plan.connections / plan.ratePerSecond) * 1000
  let next = 0

  const drive = async (first: Socket, index: number) => {
    let socket = first
    let answers = createAnswerReader(socket)
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
      socket.write(request)
      const { status, closes } = await answers.next()
      if (status !== 200) refused += 1
      if (fromMs >= measuredFromMs) latencies.push(performance.now() - fromMs)
      if (closes) {
        socket = await connected(plan.host, plan.port)
        answers = createAnswerReader(socket)
      }
    }
    socket.destroy()
  }
  await Promise.all(sockets.map(drive))

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

function connected(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => {
      resolve(socket)
    })
    socket.once('error', reject)
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
  /** What the next answer says, once all of it is there. */
  next(): Promise<AnswerHead>
}

const headerEnd = Buffer.from('\r\n\r\n')

function createAnswerReader(socket: Socket): AnswerReader {
  let buffered: Buffer = Buffer.alloc(0)
  let waiting: { resolve: (head: AnswerHead) => void; reject: (error: Error) => void } | undefined

  const take = () => {
    const end = buffered.indexOf(headerEnd)
    if (end < 0 || waiting === undefined) return
    const head = buffered.toString('latin1', 0, end)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      waiting.reject(new Error(`an answer without a length: ${head}`))
      return
    }
    const total = end + headerEnd.length + Number(length)
    if (buffered.length < total) return
    buffered = buffered.subarray(total)
    const { resolve } = waiting
    waiting = undefined
    resolve({
      status: Number(head.slice(9, 12)),
      closes: /\r\nconnection: close(?:\r|$)/i.test(head),
    })
  }
  socket.on('data', (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
    take()
  })
  socket.on('close', () => {
    waiting?.reject(new Error('the server closed the connection'))
  })
  return {
    next: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        take()
      }),
  }
}
