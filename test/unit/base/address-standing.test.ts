import { readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { mayBeAt, standingOf } from '../../../src/base/address-standing.ts'

/** The registries as they are published: what is reachable there is decided by their own column. */
const { ranges: written } = JSON.parse(
  readFileSync(
    resolve(import.meta.dirname, '../../fixtures/special-purpose-addresses.json'),
    'utf8',
  ),
) as {
  readonly ranges: readonly (readonly [range: string, name: string, reachable: boolean | null])[]
}

/** Numbers in place of a list of blocks, so that the two share nothing. */
interface Range {
  readonly bits: 32 | 128
  readonly first: bigint
  readonly last: bigint
  readonly prefix: number
  readonly reachable: boolean | null
}

const ranges: readonly Range[] = written.map(([range, , reachable]) => {
  const [network = '', prefix = ''] = range.split('/')
  const bits = isIPv4(network) ? 32 : 128
  const first = numberOf(network)
  const last = first + (1n << BigInt(bits - Number(prefix))) - 1n
  return { bits, first, last, prefix: Number(prefix), reachable }
})

function numberOf(address: string): bigint {
  if (isIPv4(address)) {
    return address.split('.').reduce((number, part) => number * 256n + BigInt(part), 0n)
  }
  const [head = [], tail = []] = address
    .split('::')
    .map((half) => half.split(':').filter((part) => part !== ''))
  const missing = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...missing, ...tail].reduce(
    (number, part) => number * 65_536n + BigInt(`0x${part}`),
    0n,
  )
}

const ipv4 = (number: bigint) =>
  [24n, 16n, 8n, 0n].map((shift) => String((number >> shift) & 255n)).join('.')
const ipv6 = (number: bigint) =>
  Array.from({ length: 8 }, (_, i) =>
    ((number >> BigInt(112 - 16 * i)) & 65_535n).toString(16),
  ).join(':')
const textOf = (bits: 32 | 128, number: bigint) => (bits === 32 ? ipv4(number) : ipv6(number))

/** What the narrowest range of the registries says; undefined: they say nothing of it. */
function registered(bits: 32 | 128, number: bigint): boolean | null | undefined {
  return ranges
    .filter((range) => range.bits === bits && range.first <= number && number <= range.last)
    .toSorted((a, b) => b.prefix - a.prefix)[0]?.reachable
}

const inRange = ({ bits, first, last }: Range) =>
  fc.bigInt({ min: first, max: last }).map((number) => [bits, number] as const)

/** IPv4, and what has been given to anybody of IPv6 (RFC 4291 §2.4, IANA IPv6 Global Unicast). */
const anywhere = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((number) => [32, number] as const),
  fc.bigInt({ min: 1n << 125n, max: (1n << 126n) - 1n }).map((number) => [128, number] as const),
)

describe('an address', () => {
  test.each(written.filter(([, , reachable]) => reachable === false))(
    'that the registries call not globally reachable is not public: %s, %s',
    (range) => {
      const { bits, first, last } = ranges[written.findIndex(([one]) => one === range)] as Range
      for (const number of [first, last, (first + last) / 2n]) {
        if (registered(bits, number) !== false) continue
        expect([textOf(bits, number), standingOf(textOf(bits, number))]).not.toContain('public')
      }
    },
  )

  test('is not public anywhere within those ranges, as itself, mapped, or through NAT64', () => {
    const closed = ranges.filter(({ reachable }) => reachable === false)
    fc.assert(
      fc.property(fc.constantFrom(...closed).chain(inRange), ([bits, number]) => {
        if (registered(bits, number) !== false) return
        const address = textOf(bits, number)
        expect(standingOf(address)).not.toBe('public')
        if (bits === 128) return
        for (const prefix of ['::ffff:', '64:ff9b::', '0:0:0:0:0:FFFF:']) {
          expect(standingOf(`${prefix}${address}`)).toBe(standingOf(address))
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('is public where the registries say nothing against it', () => {
    const azureHost = numberOf('168.63.129.16')
    fc.assert(
      fc.property(anywhere, ([bits, number]) => {
        if (registered(bits, number) !== undefined || number === azureHost) return
        const address = textOf(bits, number)
        expect([address, standingOf(address)]).toEqual([address, 'public'])
        if (bits === 32) expect(standingOf(`::ffff:${address}`)).toBe('public')
      }),
      { numRuns: 2000, examples: [[[32, numberOf('1.1.1.1')]], [[128, numberOf('2606:4700::')]]] },
    )
  })

  test('of IPv6 is nowhere, unless it has been given to somebody', () => {
    const known = ranges.filter(({ bits }) => bits === 128)
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (number) => {
        if (number >> 125n === 1n) return
        if (known.some(({ first, last }) => first <= number && number <= last)) return
        expect(standingOf(ipv6(number))).toBe('nowhere')
      }),
      { numRuns: 2000, examples: [[numberOf('::127:1')], [numberOf('fec0::1')]] },
    )
  })

  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['10.0.0.0', 'private'],
    ['10.255.255.255', 'private'],
    ['100.64.0.1', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.0.1', 'private'],
    ['fd00:ec2::254', 'nowhere'],
    ['fd20:ce::254', 'nowhere'],
    ['100.100.100.200', 'nowhere'],
    ['192.0.0.192', 'nowhere'],
    ['fd00:ec2::255', 'private'],
    ['169.254.169.254', 'nowhere'],
    ['::ffff:169.254.169.254', 'nowhere'],
    ['64:ff9b::a9fe:a9fe', 'nowhere'],
    ['2002:a9fe:a9fe::1', 'nowhere'],
    ['168.63.129.16', 'nowhere'],
    ['fe80::1%eth0', 'nowhere'],
    ['::', 'nowhere'],
    ['0.0.0.0', 'nowhere'],
    ['', 'nowhere'],
    ['localhost', 'nowhere'],
    ['10.0.0', 'nowhere'],
    ['9.255.255.255', 'public'],
    ['11.0.0.0', 'public'],
    ['100.63.255.255', 'public'],
    ['100.128.0.0', 'public'],
    ['172.15.255.255', 'public'],
    ['172.32.0.0', 'public'],
    ['223.255.255.255', 'public'],
    ['64:ff9b::8.8.8.8', 'public'],
  ])('%s is %s', (address, standing) => {
    expect(standingOf(address)).toBe(standing)
  })
})

describe('a host', () => {
  test.each([
    ['issuer.example', '8.8.8.8', true, true],
    ['issuer.example', '10.0.0.1', false, true],
    ['issuer.example', '127.0.0.1', false, true],
    ['issuer.example', '169.254.169.254', false, false],
    ['issuer.localhost', '127.0.0.1', false, true],
    ['localhost', '127.0.0.1', true, true],
    ['localhost', '::1', true, true],
    ['localhost', '10.0.0.1', false, false],
    ['localhost', '8.8.8.8', false, false],
    ['127.0.0.1', '127.0.0.1', true, true],
    ['10.0.0.1', '10.0.0.1', false, true],
  ])('%s may be at %s: %s, and where private ones are accepted: %s', (host, address, no, yes) => {
    expect(mayBeAt(host, address, 'refuse')).toBe(no)
    expect(mayBeAt(host, address, 'accept')).toBe(yes)
  })
})
