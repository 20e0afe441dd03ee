import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  pemFrom,
  signCertificate,
  type CertificateContent,
} from '../../../../src/emulator/x509/certificate.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })

const content: CertificateContent = {
  subject: 'CN=somebody',
  subjectKey: rsa.publicKey,
  notBeforeSeconds: 1_800_000_000,
  notAfterSeconds: 1_900_000_000,
  keyUsage: ['digitalSignature'],
  authority: false,
  extendedKeyUsage: [],
  alternativeNames: [],
}
const selfSigned = (more: Partial<CertificateContent> = {}) =>
  new X509Certificate(signCertificate({ ...content, ...more }, { subject: 'CN=somebody', ...rsa }))

describe('node:crypto reads back', () => {
  test('the subject, in its order, accents and equals signs included', () => {
    const { subject } = selfSigned({ subject: 'CN=José, O=a=b, OU=x, C=NL' })
    expect(subject.split('\n')).toEqual(['CN=José', 'O=a=b', 'OU=x', 'C=NL'])
  })

  test.each([
    [-3600, 1_800_000_000],
    [1_800_000_000, 2_524_607_999],
    [2_524_608_000, 4_102_444_800],
  ])('dates before and after 2050: %i to %i', (notBeforeSeconds, notAfterSeconds) => {
    const { validFromDate, validToDate } = selfSigned({ notBeforeSeconds, notAfterSeconds })
    expect(validFromDate.getTime()).toBe(notBeforeSeconds * 1000)
    expect(validToDate.getTime()).toBe(notAfterSeconds * 1000)
  })

  test('names and addresses that it is for', () => {
    const certificate = selfSigned({
      alternativeNames: ['localhost', '127.0.0.1', '::1', 'fe80::1:2', '2001:db8:0:1:1:1:1:1'],
    })
    expect(certificate.checkHost('localhost')).toBe('localhost')
    for (const address of ['127.0.0.1', '::1', 'fe80::1:2', '2001:db8:0:1:1:1:1:1']) {
      expect(certificate.checkIP(address)).toBe(address)
    }
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined()
  })

  test('what the key may do', () => {
    const purposes = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']
    expect(selfSigned({ extendedKeyUsage: purposes }).keyUsage).toEqual(purposes)
    expect(selfSigned({ authority: true, keyUsage: ['keyCertSign'] }).ca).toBe(true)
    expect(selfSigned().ca).toBe(false)
  })
})

test.each([
  ['RSA', rsa],
  ['P-256', ec],
])('a certificate issued with an %s key verifies with it and with no other', (_, issuer) => {
  const authority = new X509Certificate(
    signCertificate(
      {
        ...content,
        subject: 'CN=CA',
        subjectKey: issuer.publicKey,
        authority: true,
        keyUsage: ['keyCertSign'],
      },
      { subject: 'CN=CA', ...issuer },
    ),
  )
  const leaf = new X509Certificate(signCertificate(content, { subject: 'CN=CA', ...issuer }))
  expect(leaf.checkIssued(authority)).toBe(true)
  expect(leaf.verify(issuer.publicKey)).toBe(true)
  expect(leaf.verify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)).toBe(false)
  expect(selfSigned().checkIssued(authority)).toBe(false)
})

test('serial numbers are positive and never the same', () => {
  const serials = Array.from({ length: 20 }, () => selfSigned().serialNumber)
  expect(new Set(serials).size).toBe(20)
  for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/)
})

test('a subject with an unknown attribute is refused by name', () => {
  expect(() => selfSigned({ subject: 'CN=a, X=b' })).toThrow(/' X=b' is none of CN/)
})

test('PEM is what node:crypto takes, in lines of 64', () => {
  const der = signCertificate(content, { subject: 'CN=somebody', ...rsa })
  const pem = pemFrom('CERTIFICATE', der)
  expect(Math.max(...pem.split('\n').map((line) => line.length))).toBe(64)
  const sha256 = createHash('sha256').update(der).digest('hex')
  expect(new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()).toBe(sha256)
})
