import { createServer } from 'node:https'
import type { AddressInfo, LookupFunction } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { PrivateAddress } from '../../../src/base/address-standing.ts'
import { createJsonFetcher, type JsonFetcher } from '../../../src/caller/json-fetcher.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'

/** An issuer on loopback under a name, which leads wherever a test says. */

const { key, cert } = createLoopbackTls('issuer.localhost')
const asked: string[] = []
const server = createServer({ key, cert }, (request, response) => {
  asked.push(request.url ?? '')
  response.setHeader('connection', 'close').end('{"keys":[]}')
})
let url: URL
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  url = new URL(`https://issuer.localhost:${(server.address() as AddressInfo).port}/keys`)
})
afterAll(() => {
  server.close()
})

/** One answer after the other; the last one stays. */
let answers: readonly (readonly string[])[]
let lookups = 0
const lookup: LookupFunction = (_, options, done) => {
  const addresses = answers[Math.min(lookups, answers.length - 1)] ?? []
  lookups += 1
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  if (options.all === true) done(null, found)
  else done(null, found[0]?.address ?? '', found[0]?.family)
}

let fetcher: JsonFetcher
beforeEach(() => {
  fetcher = createJsonFetcher({ caCertificates: [cert], lookup })
  asked.length = 0
  lookups = 0
})
afterEach(() => fetcher.close())

const leadsTo = (...addresses: readonly (readonly string[])[]) => {
  answers = addresses
}
const fetchKeys = (privateAddress?: PrivateAddress) => fetcher.fetchJson(url, privateAddress)
const refused = { name: 'FetchError', code: 'FETCH_ADDRESS_REFUSED' }

describe('a name of an issuer', () => {
  test('is not connected to where it leads to this machine, unless the operator says so', async () => {
    leadsTo(['127.0.0.1'])
    await expect(fetchKeys()).rejects.toMatchObject({
      ...refused,
      message:
        'FETCH_ADDRESS_REFUSED: issuer.localhost is at 127.0.0.1, which is no public address: set `privateAddress: accept` under the issuer if it belongs there',
    })
    expect(asked).toEqual([])
    await expect(fetchKeys('accept')).resolves.toEqual({ keys: [] })
    // What one issuer may is no way in for another, on the same host.
    await expect(fetchKeys('refuse')).rejects.toMatchObject(refused)
    expect(asked).toEqual(['/keys'])
  })

  test.each([
    ['10.1.2.3'],
    ['172.20.0.1'],
    ['192.168.1.1'],
    ['100.64.0.1'],
    ['fd00::1'],
    ['::1'],
    ['::ffff:10.1.2.3'],
  ])('is not connected to at %s, and the message says what would allow it', async (address) => {
    leadsTo([address])
    await expect(fetchKeys()).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(/set `privateAddress: accept`/) as string,
    })
  })

  test.each([
    ['169.254.169.254'],
    ['0.0.0.0'],
    ['224.0.0.1'],
    ['255.255.255.255'],
    ['fe80::1'],
    ['ff02::1'],
    ['::'],
    ['::ffff:169.254.169.254'],
    ['64:ff9b::a9fe:a9fe'],
  ])('is not connected to at %s, whatever the operator accepts', async (address) => {
    leadsTo([address])
    for (const privateAddress of ['refuse', 'accept'] as const) {
      await expect(fetchKeys(privateAddress)).rejects.toMatchObject({
        ...refused,
        message: `FETCH_ADDRESS_REFUSED: issuer.localhost is at ${address}, which is no address that an issuer can have`,
      })
    }
  })

  test('is not connected to when one of its addresses is refused, wherever that stands', async () => {
    for (const addresses of [
      ['127.0.0.1', '169.254.169.254'],
      ['169.254.169.254', '127.0.0.1'],
    ]) {
      leadsTo(addresses)
      await expect(fetchKeys('accept')).rejects.toMatchObject(refused)
    }
    expect(asked).toEqual([])
  })

  test('is looked up once for each connection, and judged each time anew', async () => {
    leadsTo(['127.0.0.1'], ['169.254.169.254'])
    await expect(fetchKeys('accept')).resolves.toEqual({ keys: [] })
    expect(lookups).toBe(1)
    await expect(fetchKeys('accept')).rejects.toMatchObject(refused)
    expect(lookups).toBe(2)
    expect(asked).toEqual(['/keys'])
  })

  test('that is not found is just away', async () => {
    const none = createJsonFetcher({
      lookup: (_, __, done) => {
        done(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), [])
      },
    })
    await expect(none.fetchJson(url)).rejects.toMatchObject({ code: 'FETCH_UNREACHABLE' })
    await none.close()
  })
})

describe('an address of an issuer', () => {
  test.each([
    ['https://10.0.0.1/keys', '10.0.0.1 is no public address: set'],
    ['https://0xa000001/keys', '10.0.0.1 is no public address: set'],
    ['https://[fd00::1]/keys', 'fd00::1 is no public address: set'],
    ['https://[::ffff:10.0.0.1]/keys', '::ffff:a00:1 is no public address: set'],
    ['https://169.254.169.254/keys', '169.254.169.254 is no address that'],
    ['https://[fe80::1]/keys', 'fe80::1 is no address that'],
    ['https://[::ffff:127.0.0.1]/keys', '::ffff:7f00:1 is no public address: set'],
  ])('%s is not connected to', async (address, message) => {
    await expect(fetcher.fetchJson(new URL(address))).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining(message) as string,
    })
    expect(lookups).toBe(0)
  })

  test('of this machine is connected to, because the configuration names it', async () => {
    const here = new URL(url)
    here.hostname = '127.0.0.1'
    // Its certificate is for the name.
    await expect(fetcher.fetchJson(here)).rejects.toMatchObject({ code: 'FETCH_UNREACHABLE' })
  })

  test('localhost is this machine and nothing else', async () => {
    const here = new URL(url)
    here.hostname = 'localhost'
    for (const address of ['10.0.0.1', '8.8.8.8']) {
      leadsTo([address])
      await expect(fetcher.fetchJson(here, 'accept')).rejects.toMatchObject(refused)
    }
    leadsTo(['127.0.0.1'])
    await expect(fetcher.fetchJson(here)).rejects.toMatchObject({ code: 'FETCH_UNREACHABLE' })
  })
})
