import { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createAddressShare, networkOf } from '../../../src/http/address-share.ts'

let ports = 0
/** A socket that was never connected, and says where it is from. */
function from(address: string): Socket {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: address })
  Object.defineProperty(socket, 'remotePort', { value: (ports += 1) })
  return socket
}

describe('the share of an address', () => {
  test('is what it may have; some beyond it are told, and none beyond those', () => {
    const share = createAddressShare(2)
    const ours = Array.from({ length: 67 }, () => from('192.0.2.1'))
    expect(ours.map((socket) => share.admit(socket)).filter((admitted) => admitted)).toHaveLength(
      66,
    )
    expect(ours.map((socket) => share.isBeyond(socket)).slice(0, 3)).toEqual([false, false, true])
    expect(share.admit(from('192.0.2.2'))).toBe(true)
  })

  test('is there again when a connection ends, which was served or not', () => {
    const share = createAddressShare(1)
    const [served, told, next] = [from('192.0.2.1'), from('192.0.2.1'), from('192.0.2.1')]
    share.admit(served)
    share.admit(told)
    told.emit('close')
    served.emit('close')
    share.admit(next)
    expect(share.isBeyond(next)).toBe(false)
    expect(share.isBeyond(told)).toBe(false)
  })
})

describe('what counts as one address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::6', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  test('is not the same for two networks', () => {
    expect(networkOf('2001:db8:1:3::6')).not.toBe(networkOf('2001:db8:1:2::6'))
  })
})
