import { constants, createHash, X509Certificate, verify } from 'node:crypto'
import { RestError } from '@azure/core-rest-pipeline'
import { CryptographyClient, type CryptographyClientOptions } from '@azure/keyvault-keys'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

const message = Buffer.from('header.payload')
const digest = createHash('sha256').update(message).digest()

beforeAll(async () => {
  const roleAssignments = [
    { principal: 'signer', actions: ['keys/read' as const, 'keys/sign/action' as const] },
  ]
  emulator = await startTestEmulator({
    // 20 operations on an HSM key of 2048 bits per window.
    throttleScale: 0.01,
    vaults: [
      { name: 'first', certificates: [{ name: 'assert' }], roleAssignments },
      {
        name: 'second',
        certificates: [{ name: 'assert' }, { name: 'large', keySize: 4096 }],
        roleAssignments,
      },
    ],
  })
})
afterAll(() => emulator.stop())
afterEach(async () => {
  emulator.faults.clear()
  // Into another window, where nothing has been spent.
  await emulator.control('POST /clock', { shiftSeconds: 10 })
})

/** A client that has met the challenge, so that what follows is one request each. */
async function warmClient(
  vault = 'first',
  key = 'assert',
  options: CryptographyClientOptions = emulator.clientOptions,
) {
  const client = new CryptographyClient(
    `${emulator.vaultUrl(vault)}/keys/${key}/`,
    emulator.credential('signer'),
    options,
  )
  await client.sign('RS256', digest)
  return client
}

async function failureOf(act: Promise<unknown>): Promise<RestError> {
  const error: unknown = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof RestError) return error
  throw new TypeError(`no RestError but ${String(error)}`)
}

const statuses = (records: Awaited<ReturnType<TestEmulator['recordsOf']>>) =>
  records.map(({ operationName, properties }) => `${operationName} ${properties.httpStatusCode}`)

describe('a vault that is not to be reached from everywhere', () => {
  const admit = (from: unknown) => emulator.control('POST /vaults/first/network', { from })
  afterEach(() => admit('everybody'))

  test.each([[['127.0.0.1']], [['203.0.113.9', '127.0.0.0/8']], ['everybody']])(
    'lets in who comes from %j',
    async (from) => {
      const client = await warmClient()
      await admit(from)
      expect((await client.sign('RS256', digest)).result).toHaveLength(256)
    },
  )

  test.each([
    [
      ['203.0.113.0/24', '2001:db8::/32'],
      'ForbiddenByFirewall',
      /^Client address is not authorized and caller is not a trusted service\.\r\nClient address: 127\.0\.0\.1\r\nCaller: appid=[-0-9a-f]{36};oid=[-0-9a-f]{36};iss=https:\S+\r\nVault: first;location=\S+$/,
    ],
    [
      'private-link',
      'ForbiddenByConnection',
      /^Public network access is disabled and request is not from a trusted service nor via an approved private link\.\r\nCaller: appid=\S+\r\nVault: first;location=\S+$/,
    ],
  ])('keeps out who does not come from %j, and records it', async (from, innerCode, message) => {
    const client = await warmClient()
    await admit(from)
    const records = await emulator.recordsOf(async () => {
      const error = await failureOf(client.sign('RS256', digest))
      expect([error.statusCode, error.code]).toEqual([403, 'Forbidden'])
      expect(error.message).toMatch(message)
      expect(error.details).toMatchObject({ error: { innerError: { code: innerCode } } })
    })
    expect(statuses(records)).toEqual(['KeySign 403'])
  })

  test.each([['anybody'], [['example.com']], [['203.0.113.0/99']]])(
    'is not told to let in %j',
    async (from) => {
      await expect(admit(from)).rejects.toThrow()
    },
  )
})

describe('throttling', () => {
  const signUntilRefused = async (client: CryptographyClient) => {
    for (let made = 0; made < 100; made += 1) {
      const outcome = await client.sign('RS256', digest).catch((error: unknown) => error)
      if (outcome instanceof RestError) return { made, error: outcome }
    }
    throw new Error('never throttled')
  }

  test('answers 429 without Retry-After, which the SDK does not retry even when told to', async () => {
    const client = await warmClient('first', 'assert', {
      ...emulator.clientOptions,
      retryOptions: { maxRetries: 3 },
    })
    const records = await emulator.recordsOf(async () => {
      const { error } = await signUntilRefused(client)
      expect([error.statusCode, error.code]).toEqual([429, 'Throttled'])
      expect(error.message).toBe(
        'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
      )
      expect(error.response?.headers.get('retry-after')).toBeUndefined()
    })
    expect(statuses(records).filter((status) => status === 'KeySign 429')).toHaveLength(1)
  })

  test('counts one 4096-bit signature as eight of 2048 bits', async () => {
    // 20 units: one request to warm up (8 for its GET, 8 for its signature), then 4 are left.
    const large = await warmClient('second', 'large')
    const small = new CryptographyClient(
      `${emulator.vaultUrl('second')}/keys/assert/`,
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    // Its GET and three signatures.
    expect((await signUntilRefused(small)).made).toBe(3)
    expect((await failureOf(large.sign('RS256', digest))).statusCode).toBe(429)
  })

  test('of one vault leaves the others alone, and ends with its window', async () => {
    const first = await warmClient('first')
    const second = await warmClient('second')
    await signUntilRefused(first)
    expect((await second.sign('RS256', digest)).result).toHaveLength(256)
    await emulator.control('POST /clock', { shiftSeconds: 10 })
    expect((await first.sign('RS256', digest)).result).toHaveLength(256)
  })
})

describe('a scale set while it runs', () => {
  afterEach(() => emulator.control('POST /vaults/first/throttle', { scale: 0.01 }))

  test('throttles that vault, and no other', async () => {
    const first = await warmClient('first')
    const second = await warmClient('second')
    await emulator.control('POST /vaults/first/throttle', { scale: 0 })
    expect((await failureOf(first.sign('RS256', digest))).statusCode).toBe(429)
    expect((await second.sign('RS256', digest)).result).toHaveLength(256)
    await emulator.control('POST /vaults/first/throttle', { scale: 1 })
    expect((await first.sign('RS256', digest)).result).toHaveLength(256)
  })

  test('is no less than nothing, and of a vault that exists', async () => {
    await expect(emulator.control('POST /vaults/first/throttle', { scale: -1 })).rejects.toThrow(
      '400',
    )
    await expect(emulator.control('POST /vaults/third/throttle', { scale: 1 })).rejects.toThrow(
      "no vault 'third': there is first, second",
    )
  })
})

describe('a fault', () => {
  const add = (kind: string, more: object = {}) =>
    emulator.control('POST /faults', { at: 'vault', kind, match: 'POST /keys/assert/', ...more })

  test('throttle: nothing is signed, and the record says 429', async () => {
    const client = await warmClient()
    await add('throttle')
    const records = await emulator.recordsOf(async () => {
      expect((await failureOf(client.sign('RS256', digest))).statusCode).toBe(429)
    })
    expect(statuses(records)).toEqual(['KeySign 429'])
    expect((await client.sign('RS256', digest)).result).toHaveLength(256)
  })

  test.each([500, 502, 503])('server-error %i: nothing is signed', async (status) => {
    const client = await warmClient()
    await add('server-error', { status })
    const records = await emulator.recordsOf(async () => {
      expect((await failureOf(client.sign('RS256', digest))).statusCode).toBe(status)
    })
    expect(statuses(records)).toEqual([`KeySign ${status}`])
  })

  test.each([500, 502, 503, 504])(
    'server-error-after %i: the same answer, and the log knows of the signature',
    async (status) => {
      const client = await warmClient()
      const answerTo = async (kind: string) => {
        await add(kind, { status })
        const { statusCode, code, message, response } = await failureOf(
          client.sign('RS256', digest),
        )
        const requestId = response?.headers.get('x-ms-request-id')
        return { words: { statusCode, code, message }, requestId }
      }
      const before = await answerTo('server-error')
      let after: typeof before | undefined
      const records = await emulator.recordsOf(async () => {
        after = await answerTo('server-error-after')
      })
      expect(after?.words).toEqual(before.words)
      expect(after?.words.statusCode).toBe(status)
      expect(statuses(records)).toEqual(['KeySign 200'])
      expect(records.map(({ correlationId }) => correlationId)).toEqual([after?.requestId])
    },
  )

  test('server-error-after: what was refused is recorded as refused', async () => {
    await add('server-error-after', { match: 'POST /keys/absent/' })
    const records = await emulator.recordsOf(async () => {
      const { status } = await emulator.ask('first', 'POST /keys/absent/sign?api-version=7.4', {
        token: await emulator.token('signer'),
        body: { alg: 'RS256', value: digest.toString('base64url') },
      })
      expect(status).toBe(503)
    })
    expect(statuses(records)).toEqual(['KeySign 404'])
  })

  test('drop-before: the connection dies, and the log knows of no signature', async () => {
    const client = await warmClient()
    await add('drop-before')
    const records = await emulator.recordsOf(async () => {
      expect((await failureOf(client.sign('RS256', digest))).code).toBe('ECONNRESET')
    })
    expect(records).toEqual([])
  })

  test('drop-after: the connection dies just so, and the log knows of the signature', async () => {
    const client = await warmClient()
    await add('drop-after')
    const records = await emulator.recordsOf(async () => {
      expect((await failureOf(client.sign('RS256', digest))).code).toBe('ECONNRESET')
    })
    expect(statuses(records)).toEqual(['KeySign 200'])
  })

  test('delay: the signature comes, later', async () => {
    const client = await warmClient()
    await add('delay', { delayMs: 120 })
    const started = performance.now()
    expect((await client.sign('RS256', digest)).result).toHaveLength(256)
    expect(performance.now() - started).toBeGreaterThan(110)
  })

  const verifies = (signature: Uint8Array) => {
    const der = emulator.vaults[0]?.store.find('assert')?.versions.at(-1)?.der ?? Buffer.alloc(0)
    const key = { key: new X509Certificate(der).publicKey, padding: constants.RSA_PKCS1_PADDING }
    return verify('sha256', message, key, signature)
  }

  test('wrong-signature: a signature of the right length that verifies nowhere', async () => {
    const client = await warmClient()
    await add('wrong-signature')
    const wrong = (await client.sign('RS256', digest)).result
    expect([wrong.length, verifies(wrong)]).toEqual([256, false])
    expect(verifies((await client.sign('RS256', digest)).result)).toBe(true)
  })

  test('wrong-key-id: the answer names a version that did not sign', async () => {
    const version = emulator.vaults[0]?.store.find('assert')?.versions.at(-1)?.version ?? ''
    const keyIdOf = async () => {
      const { body } = await emulator.ask('first', 'POST /keys/assert/sign?api-version=7.4', {
        token: await emulator.token('signer'),
        body: { alg: 'RS256', value: digest.toString('base64url') },
      })
      return (body as { kid: string }).kid
    }
    await add('wrong-key-id')
    expect(await keyIdOf()).not.toContain(version)
    expect(await keyIdOf()).toContain(version)
  })

  test('malformed: 200 with half an answer, and the signature was made', async () => {
    const client = await warmClient()
    await add('malformed')
    const records = await emulator.recordsOf(() => failureOf(client.sign('RS256', digest)))
    expect(statuses(records)).toEqual(['KeySign 200'])
  })

  test('strikes as often as it says, and only what it matches', async () => {
    const client = await warmClient()
    await add('server-error', { times: 2 })
    const records = await emulator.recordsOf(async () => {
      for (let i = 0; i < 3; i += 1) await client.sign('RS256', digest).catch(() => undefined)
    })
    expect(statuses(records)).toEqual(['KeySign 503', 'KeySign 503', 'KeySign 200'])
    await add('server-error', { match: 'POST /keys/other/' })
    expect((await client.sign('RS256', digest)).result).toHaveLength(256)
  })

  test('that delays ends for what it delays when all are taken away', async () => {
    const client = await warmClient()
    await add('delay', { delayMs: 120_000 })
    const signing = client.sign('RS256', digest)
    await expect.poll(() => emulator.control('GET /faults')).toEqual([])
    await emulator.control('DELETE /faults')
    expect((await signing).result).toHaveLength(256)
  })

  test('is not spent on the probe that a cold client sends without a token', async () => {
    await add('server-error', { match: 'GET /keys/assert/' })
    const client = new CryptographyClient(
      `${emulator.vaultUrl('first')}/keys/assert/`,
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    const records = await emulator.recordsOf(() => failureOf(client.sign('RS256', digest)))
    expect(statuses(records)).toEqual(['KeyGet 401', 'KeyGet 503'])
  })
})

describe('a vault that has left', () => {
  test('refuses connections, and comes back on its port with its keys', async () => {
    const client = await warmClient()
    const { keyID: before } = await client.sign('RS256', digest)
    await emulator.control('POST /vaults/first/leave')
    const away: unknown = await client.sign('RS256', digest).catch((error: unknown) => error)
    await emulator.control('POST /vaults/first/come-back')

    expect(away).toMatchObject({ code: 'ECONNREFUSED' })
    expect((await client.sign('RS256', digest)).keyID).toBe(before)
  })
})
