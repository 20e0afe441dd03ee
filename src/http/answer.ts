import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { endUnread, hasUnreadBody } from './unread-body.ts'

/** A whole answer, before a byte of it is written. */
export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export const jsonAnswer = (status: number, value: object): Answer => ({
  status,
  contentType: 'application/json',
  body: JSON.stringify(value),
})

/**
 * Writes an answer in one piece, and closes the connection when the request was not read to its end.
 * What this service says is about one caller at one moment, so no cache may keep it (RFC 6749 §5.1).
 */
export function writeAnswer(
  response: ServerResponse,
  answer: Answer,
  headers: Readonly<Record<string, string>> = {},
): void {
  const unread = hasUnreadBody(response.req)
  const bodyBytes = Buffer.byteLength(answer.body)
  const head: OutgoingHttpHeaders = {
    'content-type': answer.contentType,
    'content-length': bodyBytes,
    'cache-control': 'no-store',
    ...headers,
  }
  if (unread) head.connection = 'close'
  if (answer.headers !== undefined) Object.assign(head, answer.headers)
  response.writeHead(answer.status, head)
  // As text, not bytes: Node then writes head and body with one call. What is ASCII needs no encoding.
  if (!unread) response.end(answer.body, bodyBytes === answer.body.length ? 'latin1' : 'utf8')
  else {
    response.write(answer.body)
    endUnread(response.req, response)
  }
}
