import { createHmac } from 'node:crypto'
import type { Agent } from 'undici'
import type { Clock } from '../../base/clock.ts'
import type { Secret } from '../../base/secret.ts'
import { findingBody } from './finding-body.ts'
import type { FoundAt } from './finding-body.ts'
import { FindingSinkError } from './finding-sink.ts'
import type { FindingSink } from './finding-sink.ts'
import type { FindingEvent } from './round-state.ts'

export interface WebhookDeps {
  /** https, or http on loopback. */
  readonly url: string
  /** Several while one takes the place of another; none: nothing is signed. Asked for at each post. */
  readonly secrets: () => Promise<readonly Secret<string>[]>
  /** Known when there is something to tell. */
  readonly foundAt: () => FoundAt
  readonly clock: Pick<Clock, 'nowSeconds'>
}

export interface Webhook extends FindingSink {
  close(): Promise<void>
}

const answerTimeoutMs = 10_000
/** Nobody reads the answer. */
const answerBytesMax = 64 * 1024

/**
 * Posts one event after the other, signed as Standard Webhooks 1.0 says: whoever is posted to verifies with any of its
 * libraries, and knows by `webhook-id` what came before. Redirects are not followed.
 */
export async function createWebhook(deps: WebhookDeps): Promise<Webhook> {
  const { Agent, request } = await import('undici')
  const dispatcher: Agent = new Agent({
    connections: 1,
    headersTimeout: answerTimeoutMs,
    bodyTimeout: answerTimeoutMs,
    connect: { timeout: answerTimeoutMs },
    maxResponseSize: answerBytesMax,
  })
  const post = async (event: FindingEvent): Promise<void> => {
    const body = bodyText(event, deps.foundAt())
    const headers = headersOf(event.id, deps.clock.nowSeconds(), body, await deps.secrets())
    const signal = AbortSignal.timeout(answerTimeoutMs)
    const options = { method: 'POST', headers, body, dispatcher, signal } as const
    const answer = await request(deps.url, options).catch((cause: unknown) => {
      throw new FindingSinkError('the webhook does not answer', { cause })
    })
    // The status has come; what follows it is nobody's.
    await answer.body.dump().catch(() => undefined)
    if (answer.statusCode >= 200 && answer.statusCode < 300) return
    throw new FindingSinkError(`the webhook answered with status ${answer.statusCode}`)
  }
  return {
    name: 'webhook',
    tell: async ([first]) => {
      if (first === undefined) return 0
      await post(first)
      return 1
    },
    close: () => dispatcher.destroy(),
  }
}

/** Elements and their ends are escaped: a body that is shown as it came is no page. */
const bodyText = (event: FindingEvent, foundAt: FoundAt): string =>
  JSON.stringify(findingBody(event, foundAt)).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** @param secrets UTF-8, or base64 behind `whsec_`. */
function headersOf(
  id: string,
  atSeconds: number,
  body: string,
  secrets: readonly Secret<string>[],
): Readonly<Record<string, string>> {
  const signed = `${id}.${atSeconds}.${body}`
  const signatures = secrets.map((secret) => {
    const mac = createHmac('sha256', keyFrom(secret.reveal())).update(signed).digest('base64')
    return `v1,${mac}`
  })
  return {
    'content-type': 'application/json',
    'user-agent': 'countersign-reconcile',
    'webhook-id': id,
    'webhook-timestamp': String(atSeconds),
    ...(signatures.length === 0 ? {} : { 'webhook-signature': signatures.join(' ') }),
  }
}

const keyFrom = (secret: string): Buffer =>
  secret.startsWith('whsec_')
    ? Buffer.from(secret.slice('whsec_'.length), 'base64')
    : Buffer.from(secret)
