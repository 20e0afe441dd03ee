import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../../../src/base/secret.ts'
import {
  FindingSinkError,
  type FindingSink,
} from '../../../../src/reconcile/rounds/finding-sink.ts'
import { inertText } from '../../../../src/reconcile/rounds/inert-text.ts'
import {
  noRounds,
  type FindingEvent,
  type RoundState,
} from '../../../../src/reconcile/rounds/round-state.ts'
import { createTelling } from '../../../../src/reconcile/rounds/telling.ts'
import { createWebhook } from '../../../../src/reconcile/rounds/webhook.ts'
import { required } from '../../../support/required.ts'

const event = (number: number, pending: string[]): FindingEvent => ({
  id: `finding-${number}-new-1`,
  event: 'finding.new',
  atMs: 1_795_327_200_000,
  finding: {
    id: String(number).padStart(32, '0'),
    kind: 'sign.unexplained',
    severity: 'high',
    atMs: 1_795_327_100_000,
    summary: 'the ledger does not know 1 signature',
    facts: [['client', '</script>&']],
  },
  pending,
})

const stateWith = (...events: FindingEvent[]): RoundState => ({ ...noRounds, events })

describe('telling', () => {
  let nowMs: number
  let saved: RoundState[]
  let failures: string[]
  beforeEach(() => {
    nowMs = 0
    saved = []
    failures = []
  })

  const tellingOf = (...sinks: FindingSink[]) =>
    createTelling({
      sinks,
      save: (state) => {
        saved.push(state)
        return Promise.resolve()
      },
      clock: { monotonicMs: () => nowMs },
      random: () => 1,
      failed: (sink, error, retryInMs) => {
        failures.push(`${sink}: ${error.message} ${retryInMs}`)
      },
    })

  const sink = (name: string, tell: FindingSink['tell']): FindingSink => ({ name, tell })

  test('saves what was taken before it tells more', async () => {
    const told: string[] = []
    const one = sink('one', ([first]) => {
      told.push(`${first?.id ?? ''} after ${saved.length} saved`)
      return Promise.resolve(1)
    })
    const state = await tellingOf(one).tell(stateWith(event(1, ['one']), event(2, ['one'])))
    expect(told).toEqual(['finding-1-new-1 after 0 saved', 'finding-2-new-1 after 1 saved'])
    expect(state.events).toEqual([])
    expect(saved.at(-1)).toEqual(state)
  })

  test('keeps what nobody took, comes back later and later, and lets nobody wait for another', async () => {
    let tries = 0
    const away = sink('away', () => {
      tries += 1
      return Promise.reject(new FindingSinkError('it is away'))
    })
    const there = sink('there', (events) => Promise.resolve(events.length))
    const telling = tellingOf(away, there)
    const state = await telling.tell(stateWith(event(1, ['away', 'there'])))
    expect(state.events).toMatchObject([{ pending: ['away'] }])
    await telling.tell(state)
    expect(tries).toBe(1)
    nowMs = 2000
    await telling.tell(state)
    nowMs = 1e9
    await telling.tell(state)
    expect(failures).toEqual([
      'away: it is away 2000',
      'away: it is away 4000',
      'away: it is away 8000',
    ])
  })

  test('hides no mistake of ours', async () => {
    const broken = sink('broken', () => Promise.reject(new TypeError('no')))
    await expect(tellingOf(broken).tell(stateWith(event(1, ['broken'])))).rejects.toThrow(TypeError)
  })
})

describe('the webhook', () => {
  let server: Server
  let status: number
  let requests: {
    readonly url: string
    readonly headers: NodeJS.Dict<string | string[]>
    readonly body: string
  }[]
  beforeEach(async () => {
    requests = []
    status = 200
    server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        requests.push({ url: request.url ?? '', headers: request.headers, body })
        response.writeHead(status, { location: '/elsewhere' }).end('{}')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterEach(() => {
    server.close()
  })

  const webhookWith = (...secrets: string[]) =>
    createWebhook({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
      secrets: () => Promise.resolve(secrets.map((secret) => new Secret(secret))),
      foundAt: () => ({ deployment: 'https://countersign.contoso.example', ledger: 'ledger' }),
      clock: { nowSeconds: () => 1_795_327_200 },
    })

  test('posts one event at a time, with its id, and signs with every secret', async () => {
    const webhook = await webhookWith('one', `whsec_${Buffer.from('one').toString('base64')}`)
    expect(await webhook.tell([event(1, []), event(2, [])])).toBe(1)
    const { headers, body } = required(requests[0])
    expect(requests).toHaveLength(1)
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': 'finding-1-new-1',
      'webhook-timestamp': '1795327200',
    })
    const [first, second, ...more] = String(headers['webhook-signature']).split(' ')
    expect(first).toMatch(/^v1,[\w+/]{43}=$/)
    expect(second).toBe(first)
    expect(more).toEqual([])
    expect(body).not.toMatch(/[<>&]/)
    expect(JSON.parse(body)).toMatchObject({ finding: { facts: [{ value: '</script>&' }] } })
    await webhook.close()
  })

  test('signs nothing without a secret', async () => {
    const webhook = await webhookWith()
    await webhook.tell([event(1, [])])
    expect(requests[0]?.headers).not.toHaveProperty('webhook-signature')
    await webhook.close()
  })

  test.each([302, 400, 410, 500])(
    'takes an answer of %i for none, and goes nowhere else',
    async (answer) => {
      status = answer
      const webhook = await webhookWith('one')
      await expect(webhook.tell([event(1, [])])).rejects.toThrow(
        new FindingSinkError(`the webhook answered with status ${answer}`),
      )
      expect(requests.map(({ url }) => url)).toEqual(['/hook'])
      await webhook.close()
    },
  )

  test('that is not there is said to be so, without where it is', async () => {
    const webhook = await webhookWith('one')
    server.close()
    server.closeAllConnections()
    await expect(webhook.tell([event(1, [])])).rejects.toThrow(/^the webhook does not answer$/)
    await webhook.close()
  })
})

test.each([
  ['=1+1', "'=1+1"],
  ['-cmd', "'-cmd"],
  ['<b>', '‹b›'],
  ['Bearer eyJhbGciOiJQUzI1NiJ9.e30.abc', 'Bearer [redacted]'],
  ['azsdk-js/1.2 (a; b)', 'azsdk-js/1.2 (a; b)'],
])('%s is shown as %s', (text, shown) => {
  expect(inertText(text)).toBe(shown)
})
