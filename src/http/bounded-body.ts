import type { IncomingMessage } from 'node:http'
import { RequestProblem } from './request-problem.ts'

/**
 * Reads a body whole, and ends with the first byte too many: what follows it is nobody's to read.
 *
 * @throws RequestProblem for more than `bytesMax` bytes, and for a body that ends early.
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = () =>
      new RequestProblem('body_too_large', `Send a body of at most ${bytesMax} bytes.`)
    if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
      reject(tooLarge())
      return
    }
    const chunks: Buffer[] = []
    let bytes = 0
    const take = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bytesMax) chunks.push(chunk)
      else {
        request.off('data', take)
        reject(tooLarge())
      }
    }
    request.on('data', take)
    request.on('end', () => {
      const [only] = chunks
      resolve(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks))
    })
    // A client that hangs up in the middle of its body: nobody's failure but its own. Node makes an error
    // of it only where somebody listens for one.
    request.on('close', () => {
      if (!request.readableEnded) reject(endedEarly())
    })
  })
}

const endedEarly = () => new RequestProblem('request_invalid', 'The body ended early.')
