import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientOrder } from '../../src/emulator/clients/client-order.ts'
import {
  createVisited,
  everyGrant,
  everyIssuer,
  everyIssuerWorld,
  everyTokenCaller,
  type EveryCaller,
  type Visited,
} from '../support/every-caller.ts'
import {
  callerMissing,
  callerNotProven,
  certificateNotProven,
  dpopWanted,
  type ProblemWords,
} from '../support/problems.ts'
import { required } from '../support/required.ts'
import { cast, ordersAsk, startServiceEmulator } from '../support/test-service.ts'
import { clientOrder } from '../support/tls-clients.ts'
import { startTlsService, type TlsService } from '../support/tls-service.ts'
import { tokenFaultsOf, type TokenFault } from '../support/token-faults.ts'
import { expectTurnedAway, lineOf, whyOf } from '../support/turned-away.ts'

/**
 * Every kind of caller × everything that can be wrong with it, at one service that lists them all. Each is
 * refused for the reason that stands beside it, in the protected log alone; outside, all look alike.
 */

let tls: TlsService
let visited: Visited

beforeAll(async () => {
  tls = await startTlsService({
    emulator: await startServiceEmulator(everyIssuerWorld),
    issuers: everyIssuer,
    grants: everyGrant,
  })
  visited = await createVisited(tls)
})
afterAll(() => tls.stop())

// So many lines of a minute are written for each reason, and no more.
beforeEach(() => {
  visited.service.emulator.clock.shift(60)
})

type Row = readonly [aspect: string, ...TokenFault]

const rowsOf = ({ namedBy, ofOthers }: EveryCaller): readonly Row[] => [
  ...tokenFaultsOf(namedBy),
  ...ofOthers.map((fault) => ['tenant', ...fault] as const),
]

/** Reasons of a token that a proof would have to come with. */
const aboutProofs: readonly string[] = ['caller_token_unbound', 'caller_binding_unproven']

function wordsFor({ wantsDpop }: EveryCaller, reason: string): ProblemWords {
  if (reason === 'caller_token_missing') return callerMissing
  return wantsDpop === true && aboutProofs.includes(reason) ? dpopWanted : callerNotProven
}

describe.each(everyTokenCaller)('$name', (caller) => {
  test('is served by the right token, and not again by the same', async () => {
    const { service } = visited
    const token = await (await caller.good(visited)).sign()
    expect((await caller.send(token, visited)).status).toBe(200)
    const [issued] = service.newEntries().filter(({ kind }) => kind === 'token.issued')
    expect(issued).toMatchObject({ caller: { issuer: caller.issuer } })

    const again = await caller.send(token, visited)
    expect(again).toMatchObject({ status: 401, body: { code: 'caller_token_spent' } })
    expect(whyOf(service, again).slice(0, 2)).toEqual(['caller_token_replayed', caller.issuer])
  })

  test.each(rowsOf(caller))('%s: is refused with a token %s: %s', async (_, ...fault) => {
    const [, reason, detail, mint] = fault
    const { service } = visited
    const good = await caller.good(visited)
    const token = await mint(good)
    service.newEntries()
    const answer = await caller.send(token, visited)

    expectTurnedAway(service, answer, wordsFor(caller, reason), {
      ...(token === '' ? {} : { token }),
      values: [cast.fabrikam, cast.orders],
    })
    const [told, , toldDetail] = whyOf(service, answer)
    expect(told).toBe(reason)
    expect(toldDetail).toContain(typeof detail === 'string' ? detail : detail(good))
    const line = JSON.stringify(lineOf(service, answer))
    for (const part of token.split('.')) {
      if (part.length > 16) expect(line).not.toContain(part.slice(0, 16))
    }
  })
})

/** What can be wrong with a certificate; absent: nobody's CA stands above, so no issuer can say what. */
type CertificateRow = readonly [
  aspect: string,
  name: string,
  order: Partial<ClientOrder>,
  detail?: string,
]

const export_ = 'spiffe://fabrikam.example/billing/export'
const named = (name: string): Partial<ClientOrder> => ({ names: [name] })

const certificates: readonly CertificateRow[] = [
  ['signature', 'of a CA of the same name', { wrong: 'other-authority' }],
  ['key', 'that is signed by itself', { wrong: 'self-signed' }],
  [
    'issuer',
    'that is signed by a client',
    { wrong: 'authority-below' },
    'signed by a certificate that is no CA',
  ],
  ['audience', 'that is for servers alone', { wrong: 'server-purpose' }, 'not for clients'],
  ['audience', 'that does not say what for', { wrong: 'no-purpose' }, 'not for clients'],
  ['times', 'that has expired', { wrong: 'expired' }, 'expired'],
  ['times', 'that is not valid yet', { wrong: 'not-yet-valid' }, 'not yet valid'],
  ['type', 'that is the one of a CA', { wrong: 'signs-certificates' }, 'the certificate of a CA'],
  [
    'tenant',
    'of another trust domain',
    named('spiffe://northwind.example/billing/export'),
    'another trust domain',
  ],
  [
    'tenant',
    'of the trust domain itself',
    named('spiffe://fabrikam.example'),
    'another trust domain',
  ],
  ['subject', 'without a URI', named('api.fabrikam.example'), 'no uri in it'],
  ['subject', 'with two URIs', { names: [export_, `${export_}/2`] }, 'more than one uri in it'],
  [
    'subject',
    'with a path that is not normal',
    named('spiffe://fabrikam.example/billing/../billing/export'),
    'a uri that names nobody',
  ],
  [
    'size',
    'with a name without end',
    named(`spiffe://fabrikam.example/${'x'.repeat(2048)}`),
    'a uri that names nobody',
  ],
  [
    'encoding',
    'with an escape in its name',
    named('spiffe://fabrikam.example/billing/ex%70ort'),
    'a uri that names nobody',
  ],
  [
    'encoding',
    'with a blank in its name',
    named(`${export_} `),
    'a certificate of an unknown form',
  ],
]

describe('mtls', () => {
  const askWith = async (order: Partial<ClientOrder>) => {
    const { service } = visited
    const certificate = await service.emulator.clients.issue(clientOrder(order))
    const dispatcher = tls.files.connections(certificate)
    return () => service.ask('POST /v1/token', { json: ordersAsk, dispatcher })
  }

  test('is served by the right certificate, which proves its holder in each request', async () => {
    const ask = await askWith({})
    expect((await ask()).status).toBe(200)
    expect((await ask()).status).toBe(200)
    const issued = visited.service.newEntries().filter(({ kind }) => kind === 'token.issued')
    expect(issued).toHaveLength(2)
    expect(required(issued[0])).toMatchObject({ grant: 'of-edge', caller: { issuer: 'edge' } })
  })

  test.for(certificates)('%s: is refused with a certificate %s', async ([, , order, detail]) => {
    const { service } = visited
    const ask = await askWith(order)
    service.newEntries()
    const answer = await ask()

    expectTurnedAway(service, answer, certificateNotProven, { values: [export_, 'edge'] })
    expect(whyOf(service, answer)).toEqual(
      detail === undefined
        ? ['caller_certificate_unknown', undefined, '']
        : ['caller_certificate_refused', 'edge', detail],
    )
  })
})

test('the matrix is whole: every aspect of every kind, and more than three hundred in all', () => {
  const aspectsOf = (rows: readonly (readonly [string, ...unknown[]])[]) =>
    [...new Set(rows.map(([aspect]) => aspect))].toSorted()
  const all = ['algorithm', 'audience', 'chain', 'encoding', 'issuer', 'key', 'presence']
  const others = ['signature', 'size', 'subject', 'tenant', 'times', 'type']
  for (const caller of everyTokenCaller) {
    // What a trust domain says in `iss` is nobody's business.
    const without = caller.namedBy === 'sub' ? 'issuer' : undefined
    const wanted = [...all, ...others].filter((aspect) => aspect !== without)
    expect(aspectsOf(rowsOf(caller))).toEqual(wanted)
  }
  const replays = everyTokenCaller.length
  const rows = everyTokenCaller.flatMap(rowsOf).length
  expect(rows + replays + certificates.length).toBeGreaterThanOrEqual(300)
})
