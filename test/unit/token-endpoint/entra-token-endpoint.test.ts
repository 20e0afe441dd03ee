import { constants, hash, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { decodeJwt } from 'jose'
import { Agent } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  assertionHeader,
  buildClientAssertion,
  compactAssertion,
} from '../../../src/assertion/client-assertion.ts'
import {
  newExchangeId,
  newJwtId,
  parseClientId,
  parseScope,
  parseTenantId,
} from '../../../src/base/ids.ts'
import type { Secret } from '../../../src/base/secret.ts'
import type { TokenLife } from '../../../src/base/token-life.ts'
import type { Fault } from '../../../src/emulator/faults.ts'
import { createEntraTokenEndpoint } from '../../../src/token-endpoint/entra-token-endpoint.ts'
import {
  type TokenEndpoint,
  TokenEndpointError,
} from '../../../src/token-endpoint/token-endpoint.ts'
import {
  type ClientCertificate,
  createClientCertificate,
} from '../../support/client-certificate.ts'
import {
  contoso,
  defaultWorld,
  deploy,
  events,
  fabrikam,
  northwind,
} from '../../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'
import { required } from '../../support/required.ts'

let emulator: TestEmulator
let agent: Agent
let endpoint: TokenEndpoint
let certificate: ClientCertificate

beforeAll(async () => {
  emulator = await startTestEmulator({ world: defaultWorld })
  certificate = await createClientCertificate()
  emulator.entra.certificates.register('events', certificate.der)
  emulator.entra.certificates.register('deploy', certificate.der)
  agent = new Agent({ connect: { ca: emulator.ca } })
  endpoint = createEntraTokenEndpoint(emulator.endpoints.authority, agent)
})

afterEach(() => {
  emulator.faults.clear()
})

afterAll(async () => {
  await agent.close()
  await emulator.stop()
})

interface Ask {
  readonly tenant?: string
  readonly client?: string
  readonly scope?: string
  /** When the assertion is signed, relative to now. */
  readonly ageSeconds?: number
  readonly audienceTenant?: string
  readonly certificate?: ClientCertificate
  readonly timeoutMs?: number
  readonly life?: TokenLife
}

function signed(ask: Ask, by: ClientCertificate): Secret<string> {
  const header = assertionHeader(
    'entra',
    {
      der: by.der,
      thumbprintSha1: hash('sha1', by.der, 'base64url'),
      thumbprintSha256: by.x5tS256,
    },
    'omit',
  )
  const tenant = required(parseTenantId(ask.audienceTenant ?? ask.tenant ?? fabrikam))
  const unsigned = buildClientAssertion(header, {
    clientId: required(parseClientId(ask.client ?? events)),
    audience: endpoint.urlOf(tenant),
    jwtId: newJwtId(),
    nowSeconds: emulator.clock.nowSeconds() - (ask.ageSeconds ?? 0),
    lifetimeSeconds: 300,
  })
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  const input = Buffer.from(unsigned.signingInput)
  return compactAssertion(unsigned, sign('sha256', input, { key: by.privateKey, ...padding }))
}

const exchange = (ask: Ask = {}, at: TokenEndpoint = endpoint) =>
  at.exchange({
    exchangeId: newExchangeId(),
    tenantId: required(parseTenantId(ask.tenant ?? fabrikam)),
    clientId: required(parseClientId(ask.client ?? events)),
    scope: required(parseScope(ask.scope ?? 'https://orders.example/.default')),
    life: ask.life ?? 'ordinary',
    assertion: signed(ask, ask.certificate ?? certificate),
    timeoutMs: ask.timeoutMs ?? 5000,
  })

/** What answers every exchange with this, as JSON or as it is where it is a text. */
async function answeringEntra(answer: object | string, status = 200) {
  const forms: URLSearchParams[] = []
  const server = createServer((request, response) => {
    void text(request).then((form) => {
      forms.push(new URLSearchParams(form))
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    forms,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function failureOf(ask: Ask): Promise<TokenEndpointError> {
  const failure: unknown = await exchange(ask).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure instanceof TokenEndpointError) return failure
  throw new Error('expected a TokenEndpointError', { cause: failure })
}

const fault = (kind: Fault['kind']) => {
  emulator.faults.add({
    at: 'token-endpoint',
    kind,
    times: 1,
    probability: 1,
    delayMs: kind === 'delay' ? 2000 : 0,
    status: 503,
  })
}

describe('Entra token endpoint', () => {
  test('exchanges an assertion for a token, and keeps what the ledger joins on', async () => {
    const token = await exchange()
    expect(token.value.reveal().split('.')).toHaveLength(3)
    expect(token.expiresInSeconds).toBe(3599)
    expect(token.traceId).toMatch(/^[0-9a-f-]{36}$/)
    expect(token.uti).not.toBe('')
    expect(token.uti).toBeDefined()
  })

  const graph = 'https://graph.microsoft.com/.default'

  test('asks for a token of a day where that is wanted, and says when to ask again', async () => {
    const token = await exchange({ tenant: contoso, scope: graph, life: 'long-lived' })
    expect(decodeJwt(token.value.reveal())).toMatchObject({ xms_cc: ['cp1'] })
    expect(token.expiresInSeconds).toBeGreaterThanOrEqual(20 * 3600)
    expect(token.refreshInSeconds).toBe(Math.floor(token.expiresInSeconds / 2))
  })

  test('says so with claims of its own, and otherwise says nothing', async () => {
    await using answering = await answeringEntra({
      access_token: 'token',
      token_type: 'Bearer',
      expires_in: 3599,
    })
    const at = createEntraTokenEndpoint(answering.origin, agent)
    await exchange({ life: 'long-lived' }, at)
    await exchange({}, at)

    expect(answering.forms.map((form) => form.get('claims'))).toEqual([
      '{"access_token":{"xms_cc":{"values":["cp1"]}}}',
      null,
    ])
  })

  test('asks for an ordinary token otherwise, and says of no time to ask again', async () => {
    const token = await exchange({ tenant: contoso, scope: graph })
    expect(decodeJwt(token.value.reveal())).not.toHaveProperty('xms_cc')
    expect(token).toMatchObject({ expiresInSeconds: 3599, refreshInSeconds: undefined })
  })

  test.each([
    [1800, 1800],
    ['1800', 1800],
    [0, undefined],
    [-5, undefined],
    [1.5, undefined],
    ['soon', undefined],
    [null, undefined],
  ])('takes refresh_in %j for %j', async (written, refreshInSeconds) => {
    await using answering = await answeringEntra({
      access_token: 'token',
      token_type: 'Bearer',
      expires_in: 3599,
      refresh_in: written,
    })
    const token = await exchange({}, createEntraTokenEndpoint(answering.origin, agent))
    expect(token).toMatchObject({ expiresInSeconds: 3599, refreshInSeconds })
  })

  test.each<[string, Ask, number, string]>([
    [
      'the application is not in the tenant',
      { client: deploy, tenant: northwind },
      700016,
      'ENTRA_APPLICATION_ABSENT',
    ],
    [
      'the tenant does not exist',
      { tenant: '99999999-0000-4000-8000-000000000009' },
      90002,
      'ENTRA_TENANT_UNKNOWN',
    ],
    ['the resource is not in the tenant', { tenant: contoso }, 500011, 'ENTRA_RESOURCE_ABSENT'],
    ['the assertion has expired', { ageSeconds: 3600 }, 700024, 'ENTRA_ASSERTION_EXPIRED'],
    [
      'the assertion is for another tenant',
      { audienceTenant: northwind },
      700023,
      'ENTRA_ASSERTION_REFUSED',
    ],
  ])('when %s, says by which number', async (_case, ask, number, code) => {
    const failure = await failureOf(ask)
    expect(failure).toMatchObject({ code, applied: 'no', errorCodes: [number] })
    expect(failure.traceId).toMatch(/^[0-9a-f-]{36}$/)
    expect(failure.message).toBe(code)
  })

  test('when the certificate is not registered, says that an operator must act', async () => {
    const stranger = await createClientCertificate()
    const failure = await failureOf({ certificate: stranger })
    expect(failure).toMatchObject({ code: 'ENTRA_CERTIFICATE_UNKNOWN', errorCodes: [700027] })
  })

  test.each([
    ['throttle', 'ENTRA_THROTTLED', 'no'],
    ['server-error', 'ENTRA_UNAVAILABLE', 'unknown'],
    ['server-error-after', 'ENTRA_UNAVAILABLE', 'unknown'],
    ['drop-before', 'ENTRA_UNAVAILABLE', 'unknown'],
    ['drop-after', 'ENTRA_UNAVAILABLE', 'unknown'],
    ['malformed', 'ENTRA_MALFORMED', 'unknown'],
  ] as const)('when it misbehaves (%s), says so', async (kind, code, applied) => {
    fault(kind)
    expect(await failureOf({})).toMatchObject({ code, applied })
    await expect(exchange()).resolves.toHaveProperty('value')
  })

  const refused = { error: 'invalid_client', error_codes: [700027], trace_id: 'ours' }

  test.each([
    [401, refused, 'ENTRA_CERTIFICATE_UNKNOWN', 'no'],
    [400, { error: 'invalid_request' }, 'ENTRA_REFUSED', 'no'],
    [429, { error: 'temporarily_unavailable' }, 'ENTRA_THROTTLED', 'no'],
    [429, '', 'ENTRA_THROTTLED', 'no'],
    [408, refused, 'ENTRA_TIMEOUT', 'unknown'],
    [408, '', 'ENTRA_TIMEOUT', 'unknown'],
    [499, '<html>', 'ENTRA_TIMEOUT', 'unknown'],
    [403, '<html>', 'ENTRA_MALFORMED', 'unknown'],
    [400, '', 'ENTRA_MALFORMED', 'unknown'],
    [400, { message: 'no' }, 'ENTRA_MALFORMED', 'unknown'],
    [302, refused, 'ENTRA_MALFORMED', 'unknown'],
    [504, refused, 'ENTRA_UNAVAILABLE', 'unknown'],
  ])('when %d with %j answers in its place, says so', async (status, answer, code, applied) => {
    await using answering = await answeringEntra(answer, status)
    const failure = exchange({}, createEntraTokenEndpoint(answering.origin, agent))
    await expect(failure).rejects.toMatchObject({ code, applied })
  })

  test('when it throttles, repeats how long Entra wants to be left alone', async () => {
    fault('throttle')
    expect((await failureOf({})).retryAfterSeconds).toBeGreaterThan(0)
  })

  test('when it takes too long, gives up, and a token may exist that nobody has', async () => {
    fault('delay')
    expect(await failureOf({ timeoutMs: 200 })).toMatchObject({
      code: 'ENTRA_TIMEOUT',
      applied: 'unknown',
    })
  })

  const asked = (authority: string) =>
    createEntraTokenEndpoint(authority, agent).exchange({
      exchangeId: newExchangeId(),
      tenantId: required(parseTenantId(fabrikam)),
      clientId: required(parseClientId(events)),
      scope: required(parseScope('https://orders.example/.default')),
      life: 'ordinary',
      assertion: signed({}, certificate),
      timeoutMs: 5000,
    })

  test('when it is not there, nothing was applied', async () => {
    await expect(asked('https://127.0.0.1:9')).rejects.toMatchObject({
      code: 'ENTRA_UNAVAILABLE',
      applied: 'no',
    })
  })

  test('when it says more than any answer has, reads no further, and a token may exist', async () => {
    const server = createServer((_, response) => response.end(' '.repeat(300_000)))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const failure = { code: 'ENTRA_MALFORMED', applied: 'unknown' }
      await expect(asked(`http://127.0.0.1:${port}`)).rejects.toMatchObject(failure)
    } finally {
      server.close()
    }
  })
})
