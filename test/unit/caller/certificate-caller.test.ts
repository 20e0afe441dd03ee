import type { X509Certificate } from 'node:crypto'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { sha256Base64url } from '../../../src/base/sha256.ts'
import type { ClientCertificate, Identification } from '../../../src/caller/caller.ts'
import { createCertificateCallerIdentifier } from '../../../src/caller/certificate-caller.ts'
import { findPaths } from '../../../src/caller/certificate-path.ts'
import type { MtlsIssuerSettings } from '../../../src/caller/issuer-settings.ts'
import { booleanTrue, implicitTag, octetString, sequence } from '../../../src/emulator/x509/der.ts'
import { critical, extension } from '../../../src/emulator/x509/certificate.ts'
import {
  authority,
  client,
  serverAuthentication,
  type Signed,
} from '../../support/certificate-chains.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'

const root = authority('CN=root')
const issuing = authority('CN=issuing', root)
const good = client(issuing)

const unknownExtension = octetString(Buffer.from('?'))
/** Permits names below `.fabrikam.example` alone (RFC 5280 §4.2.1.10). */
const nameConstraints = sequence(
  Buffer.from([
    0xa0,
    ...((tree) => [tree.length, ...tree])(
      sequence(implicitTag(6, Buffer.from('.fabrikam.example'))),
    ),
  ]),
)

/** Years have four digits; written with more, OpenSSL takes the whole for no time at all. */
const afterYear9999 = 253_402_300_800

interface Case {
  readonly what: string
  /** As sent, the client's own first. */
  readonly sent: readonly Signed[]
  /** Absent: the root. */
  readonly anchors?: readonly Signed[]
  readonly finding: string
}

const path = 'path'
const nothing = 'nothing'

const nobodysCa = 'signed by a certificate that is no CA'
const unknown = 'a demand that is not understood'

const cases: readonly Case[] = [
  { what: 'signed by the anchor', sent: [client(root)], finding: path },
  { what: 'signed by a CA below the anchor', sent: [good, issuing], finding: path },
  { what: 'sent with the anchor', sent: [good, issuing, root], finding: path },
  {
    what: 'signed by an anchor that is no root',
    sent: [good],
    anchors: [root, issuing],
    finding: path,
  },
  { what: 'sent without the CA between', sent: [good], finding: nothing },
  { what: 'sent in another order', sent: [good, root, issuing], finding: nothing },
  {
    what: 'of another anchor',
    sent: [good, issuing],
    anchors: [authority('CN=root')],
    finding: nothing,
  },
  {
    what: 'of a stranger with the names and key identifiers of the CA',
    sent: [client({ ...issuing, privateKey: authority('CN=stranger').privateKey }), issuing],
    finding: nothing,
  },
  ...(() => {
    const stranger = authority('CN=issuing', { ...root, privateKey: authority('CN=x').privateKey })
    return [
      {
        what: 'of a stranger’s CA with those of the anchor',
        sent: [client(stranger), stranger],
        finding: nothing,
      },
    ]
  })(),
  {
    what: 'signed by itself',
    sent: [client({ subject: 'CN=client', ...keys(good) }, {}, keys(good))],
    finding: nothing,
  },
  { what: 'the anchor itself', sent: [root], finding: 'the certificate of a CA' },
  { what: 'one of a CA', sent: [issuing], finding: 'the certificate of a CA' },
  {
    what: 'one that may sign others',
    sent: [client(root, { keyUsage: ['digitalSignature', 'keyCertSign'] })],
    finding: 'the certificate of a CA',
  },
  {
    what: 'for nothing that it says',
    sent: [client(root, { extendedKeyUsage: [] })],
    finding: 'not for clients',
  },
  {
    what: 'for servers',
    sent: [client(root, { extendedKeyUsage: [serverAuthentication] })],
    finding: 'not for clients',
  },
  {
    what: 'for anything',
    sent: [client(root, { extendedKeyUsage: ['2.5.29.37.0'] })],
    finding: 'not for clients',
  },
  {
    what: 'whose key may not sign',
    sent: [client(root, { keyUsage: ['keyEncipherment'] })],
    finding: 'not for clients',
  },
  below('without the bit of a CA', { authority: false, keyUsage: ['keyCertSign'] }, nobodysCa),
  below(
    'for servers',
    { extendedKeyUsage: [serverAuthentication] },
    'signed by a CA that is not for clients',
  ),
  below(
    'with constraints on names',
    {
      furtherExtensions: [critical('2.5.29.30', nameConstraints)],
    },
    unknown,
  ),
  below(
    'with constraints on names that are not critical',
    {
      furtherExtensions: [extension('2.5.29.30', nameConstraints)],
    },
    unknown,
  ),
  {
    what: 'with an unknown critical extension',
    sent: [
      client(root, { furtherExtensions: [critical('1.3.6.1.4.1.55555.1', unknownExtension)] }),
    ],
    finding: unknown,
  },
  {
    what: 'with an unknown extension that may be passed over',
    sent: [
      client(root, { furtherExtensions: [extension('1.3.6.1.4.1.55555.1', unknownExtension)] }),
    ],
    finding: path,
  },
  {
    what: 'with a name that is no text',
    sent: [client(root, { alternativeNames: ['spiffe://fabrikam.example/a\0b'] })],
    finding: 'a certificate of an unknown form',
  },
  {
    what: 'with an end that is no time',
    sent: [client(root, { notAfterSeconds: afterYear9999 })],
    finding: 'a certificate of an unknown form',
  },
  {
    what: 'with one extension twice',
    sent: [client(root, { furtherExtensions: [critical('2.5.29.19', sequence(booleanTrue))] })],
    finding: nothing,
  },
  ...(() => {
    const last = authority('CN=last', root, { pathLength: 0 })
    const beyond = authority('CN=beyond', last)
    return [
      { what: 'of a CA that may have none below', sent: [client(last), last], finding: path },
      {
        what: 'of a CA below such a one',
        sent: [client(beyond), beyond, last],
        finding: 'too many CAs',
      },
    ]
  })(),
  {
    what: 'with a weak key',
    sent: [client(root, {}, generateKeyPairSync('rsa', { modulusLength: 1024 }))],
    finding: 'a weak key or signature',
  },
  {
    what: 'with a key of a curve that nobody uses',
    sent: [client(root, {}, generateKeyPairSync('ec', { namedCurve: 'secp256k1' }))],
    finding: 'a weak key or signature',
  },
]

function keys({ privateKey, publicKey }: Signed) {
  return { privateKey, publicKey }
}

function below(what: string, changes: Parameters<typeof authority>[2], finding: string): Case {
  const between = authority('CN=between', root, changes)
  return { what: `of a CA ${what}`, sent: [client(between), between], finding }
}

const findingOf = ({ sent, anchors = [root] }: Case) => {
  const [found] = findPaths(certificatesOf(sent), certificatesOf(anchors))
  if (found === undefined) return nothing
  return found.found === 'fault' ? found.fault : found.found
}

const certificatesOf = (signed: readonly Signed[]) => signed.map(({ certificate }) => certificate)

describe('the path of a certificate', () => {
  test.each(cases)('$what: $finding', (one) => {
    expect(findingOf(one)).toBe(one.finding)
  })

  test('is valid while all of it is', () => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const short = authority('CN=short', root, { notAfterSeconds: nowSeconds + 60 })
    const late = client(short, { notBeforeSeconds: nowSeconds - 5 })
    expect(findPaths(certificatesOf([late, short]), [root.certificate])).toMatchObject([
      { path: { notBeforeMs: (nowSeconds - 5) * 1000, notAfterMs: (nowSeconds + 60) * 1000 } },
    ])
  })

  test('is not followed further than anybody’s', () => {
    const chain = [root]
    for (let i = 1; i <= 4; i += 1) chain.unshift(authority(`CN=ca ${i}`, chain[0]))
    const sentFor = (count: number) => {
      const cas = chain.slice(-count - 1, -1)
      return [client(cas[0] ?? root), ...cas]
    }
    expect(findingOf({ what: '', sent: sentFor(3), finding: '' })).toBe('path')
    expect(findingOf({ what: '', sent: sentFor(4), finding: '' })).toBe('nothing')
  })
})

describe('OpenSSL, with the same CA and no other, agrees', () => {
  const { key, cert } = createLoopbackTls()
  let server: tls.Server
  let authorized: (verdict: boolean) => void

  beforeAll(async () => {
    server = tls.createServer({
      key,
      cert,
      ca: root.certificate.toString(),
      requestCert: true,
      rejectUnauthorized: false,
      ciphers: 'DEFAULT:@SECLEVEL=0',
    })
    server.on('secureConnection', (socket) => {
      authorized(socket.authorized)
      socket.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => server.close())

  async function verdictOn(sent: readonly Signed[]): Promise<boolean> {
    const verdict = new Promise<boolean>((resolve) => {
      authorized = resolve
    })
    const socket = tls.connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      ca: cert,
      ciphers: 'DEFAULT:@SECLEVEL=0',
      cert: sent.map(({ certificate }) => certificate.toString()).join(''),
      key: sent[0]?.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    })
    socket.resume()
    socket.on('error', () => undefined)
    const result = await verdict
    socket.destroy()
    return result
  }

  const accepted = cases.filter(
    ({ finding, anchors }) => finding === 'path' && anchors === undefined,
  )
  test.each(accepted)('that one proves: $what', async ({ sent }) => {
    expect(await verdictOn(sent)).toBe(true)
  })

  // It takes more than we do: what says nothing of its purpose, names that it can compare, weak curves.
  const stricter = [
    'no text',
    'for nothing that it says',
    'names',
    'weak',
    'nobody',
    'another order',
    'may sign',
  ]
  const refused = cases.filter(
    ({ what, finding, anchors }) =>
      finding !== 'path' && anchors === undefined && !stricter.some((part) => what.includes(part)),
  )
  test.each(refused)('that one does not: $what', async ({ sent }) => {
    expect(await verdictOn(sent)).toBe(false)
  })

  test('has been asked about most of them', () => {
    expect(accepted.length).toBeGreaterThanOrEqual(5)
    expect(refused.length).toBeGreaterThanOrEqual(10)
  })
})

describe('which issuer vouches', () => {
  const clock = { nowMs: () => Date.now() } as Clock
  const issuer = (name: string, ...anchors: readonly Signed[]): MtlsIssuerSettings => ({
    name: issuerName(name),
    identity: 'uri',
    require: [],
    anchors: certificatesOf(anchors),
  })
  const identify = (
    issuers: readonly MtlsIssuerSettings[],
    ...sent: readonly Signed[]
  ): Identification =>
    createCertificateCallerIdentifier({ issuers, clock }).identify(shown(...sent))

  test('is told by signatures, not by names', () => {
    const twin = authority('CN=root')
    const issuers = [issuer('first', root), issuer('second', twin)]
    expect(identify(issuers, client(root))).toMatchObject({ caller: { issuer: 'first' } })
    expect(identify(issuers, client(twin))).toMatchObject({ caller: { issuer: 'second' } })
  })

  test('is nobody where a CA of one has been signed by a CA of the other', () => {
    const other = authority('CN=other')
    const cross = authority(root.subject, other, {}, keys(root))
    const issuers = [issuer('first', root), issuer('second', other)]
    const own = client(root)
    expect(identify(issuers, own)).toMatchObject({ caller: { issuer: 'first' } })
    expect(identify([issuer('second', other)], own, cross)).toMatchObject({ ok: true })
    // Otherwise a client could choose whose it is, by what it sends along.
    expect(identify(issuers, own, cross)).toMatchObject({
      refusal: { reason: 'caller_certificate_ambiguous' },
    })
  })

  test('is nobody for a CA that two issuers have', () => {
    expect(identify([issuer('first', root), issuer('second', root)], client(root))).toMatchObject({
      refusal: { reason: 'caller_certificate_ambiguous' },
    })
  })

  test('is told of a CA that stands above, even if the certificate proves nobody', () => {
    const issuers = [issuer('first', authority('CN=root')), issuer('second', root)]
    expect(identify(issuers, client(root, { extendedKeyUsage: [] }))).toMatchObject({
      refusal: { reason: 'caller_certificate_refused', issuer: 'second' },
    })
  })

  test('is the same while a CA has two certificates with one key, whichever of them is in date', () => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const past = authority('CN=root', undefined, { notAfterSeconds: nowSeconds - 60 }, keys(root))
    const next = authority('CN=root', undefined, { notBeforeSeconds: nowSeconds + 60 }, keys(root))
    for (const anchors of [
      [past, root, next],
      [next, root, past],
    ]) {
      expect(identify([issuer('first', ...anchors)], client(root))).toMatchObject({
        caller: { issuer: 'first' },
      })
    }
    expect(identify([issuer('first', past, next)], client(root))).toMatchObject({
      refusal: { reason: 'caller_certificate_refused', detail: 'expired' },
    })
  })

  test('requires of every certificate what the operator says', () => {
    const require = [{ claim: 'uri', anyOf: ['spiffe://fabrikam.example/other'] }]
    expect(identify([{ ...issuer('first', root), require }], client(root))).toMatchObject({
      refusal: { reason: 'caller_claim_refused', issuer: 'first', detail: 'uri' },
    })
  })
})

function shown(...sent: readonly Signed[]): ClientCertificate {
  const chain = certificatesOf(sent)
  return { chain, sha256: sha256Base64url((chain[0] as X509Certificate).raw) }
}
