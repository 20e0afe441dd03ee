import { X509Certificate } from 'node:crypto'
import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { certificateFactsFrom } from '../../../src/x509/certificate-facts.ts'
import { derTags, membersOf, readDer, readDerValues } from '../../../src/x509/der.ts'
import { derValue, octetString, sequence } from '../../../src/emulator/x509/der.ts'
import { authority, client } from '../../support/certificate-chains.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('DER', () => {
  test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])(
    'of %i octets is read as it was written',
    (length) => {
      const content = Buffer.alloc(length, 7)
      const value = readDer(octetString(content))
      expect(value?.tag).toBe(derTags.octetString)
      expect(value?.content.equals(content)).toBe(true)
    },
  )

  test.each([
    ['nothing', ''],
    ['a tag alone', '04'],
    ['less than it says', '04 02 00'],
    ['more than it says', '04 01 00 00'],
    ['a length without its octets', '04 82 01'],
    ['a length that could be shorter', '04 81 01 00'],
    ['a length with a zero in front', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a length that is not said', '30 80 00 00'],
    ['a length of more octets than any certificate', '04 84 01 00 00 00'],
    ['a tag of more octets', '1f 81 00 00'],
  ])('that is %s is not read', (_, text) => {
    expect(readDer(hex(text))).toBeUndefined()
  })

  test('of several values is read one after another', () => {
    const both = Buffer.concat([octetString(hex('01')), octetString(hex('02 03'))])
    expect(readDerValues(both)?.map(({ content }) => content.toString('hex'))).toEqual([
      '01',
      '0203',
    ])
    expect(membersOf(readDer(sequence(both)))).toHaveLength(2)
    expect(membersOf(readDer(derValue(derTags.constructed(3), both)))).toBeUndefined()
  })

  test('is read in any bytes without a failure, and never beyond them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const values = readDerValues(Buffer.from(bytes)) ?? []
        const length = values.reduce((sum, { whole }) => sum + whole.length, 0)
        expect([0, bytes.length]).toContain(length)
      }),
    )
  })
})

describe('a certificate', () => {
  const root = authority('CN=root')

  test('says what node:crypto reads in it too', () => {
    const { certificate } = client(root, {
      alternativeNames: ['a.example', 'spiffe://a.example/b', 'a@b.example', '127.0.0.1'],
    })
    const facts = certificateFactsFrom(certificate)
    expect(certificate.subjectAltName).toBe(
      'DNS:a.example, URI:spiffe://a.example/b, email:a@b.example, IP Address:127.0.0.1',
    )
    expect(facts).toEqual({
      isAuthority: certificate.ca,
      keyUsage: { digitalSignature: true, keyCertSign: false },
      clientAuthentication: true,
      names: { dns: ['a.example'], uri: ['spiffe://a.example/b'], email: ['a@b.example'] },
      demandsMore: false,
      signature: 'strong',
      validity: {
        notBeforeMs: certificate.validFromDate.getTime(),
        notAfterMs: certificate.validToDate.getTime(),
      },
    })
  })

  test('of a CA says so, with its length', () => {
    const { certificate } = authority('CN=below', root, { pathLength: 3 })
    expect(certificateFactsFrom(certificate)).toMatchObject({
      isAuthority: true,
      pathLength: 3,
      keyUsage: { digitalSignature: false, keyCertSign: true },
    })
  })

  test('with any octet changed has facts or none, and never a failure', () => {
    const { raw } = client(root).certificate
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(raw)
        changed.writeUInt8(changed.readUInt8(at) ^ change, at)
        const certificate = parsed(changed)
        if (certificate !== undefined) certificateFactsFrom(certificate)
      }),
    )
  })
})

function parsed(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    return undefined
  }
}
