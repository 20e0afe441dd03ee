import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { clientCertificateOf } from '../../../src/http/client-certificate.ts'
import { listen, type Listener, type ListenerSettings } from '../../../src/http/listener.ts'
import { authority, client, type Signed } from '../../support/certificate-chains.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'
import { sendRaw } from '../../support/raw-http.ts'

const host = '127.0.0.1'
const { key, cert } = createLoopbackTls()
const root = authority('CN=root')
const issuing = authority('CN=issuing', root)
const stranger = authority('CN=stranger')
const first = client(issuing, { subject: 'CN=first' })
const second = client(issuing, { subject: 'CN=second' })

const request = (connection: 'close' | 'keep-alive') =>
  `GET / HTTP/1.1\r\nhost: x\r\nconnection: ${connection}\r\n\r\n`

/** Answers with the subjects of what the connection has shown, in order. */
const names: RequestListener = ({ socket }, response) => {
  const chain = clientCertificateOf(socket)?.chain ?? []
  response.end(`shown: ${chain.map(({ subject }) => subject).join(' ')};`)
}

let listener: Listener | undefined
afterEach(async () => {
  await listener?.drain(0)
  listener = undefined
})

async function start(transport: ListenerSettings['transport']): Promise<string> {
  listener = await listen(names, { host, port: 0, connectionsMax: 10, transport })
  return listener.origin
}

async function startTls(
  settings: { readonly clientCertificates?: 'asked-for' } = { clientCertificates: 'asked-for' },
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'))
  const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  try {
    return await start({ kind: 'tls', certFile, keyFile, ...settings })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Heard {
  readonly text: string
  readonly resumed: boolean
  readonly session: Buffer | undefined
}

async function askAs(
  sent: readonly Signed[],
  origin: string,
  options: tls.ConnectionOptions,
): Promise<Heard> {
  const socket = connectAs(sent, origin, options)
  const received: Buffer[] = []
  let session: Buffer | undefined
  socket.on('session', (one) => (session = one))
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  await once(socket, 'secureConnect')
  const resumed = socket.isSessionReused()
  socket.write(request('close'))
  await once(socket, 'close')
  const text = /shown: (.*?);/.exec(Buffer.concat(received).toString())?.[1] ?? 'no answer'
  return { text, resumed, session }
}

const connectAs = (
  [own, ...more]: readonly Signed[],
  origin: string,
  options: tls.ConnectionOptions,
) =>
  tls.connect({
    host,
    port: Number(new URL(origin).port),
    ca: cert,
    ...(own === undefined
      ? {}
      : {
          cert: [own, ...more].map(({ certificate }) => certificate.toString()).join(''),
          key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        }),
    ...options,
  })

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('over %s', (maxVersion) => {
  test('a client has shown what it sent, as it sent it, whoever signed it', async () => {
    const origin = await startTls()
    const sent = [first, stranger, issuing, root]
    const { text } = await askAs(sent, origin, { maxVersion })
    expect(text).toBe('CN=first CN=stranger CN=issuing CN=root')
  })

  test('a client without a certificate has shown none, and is answered', async () => {
    expect((await askAs([], await startTls(), { maxVersion })).text).toBe('')
  })

  test('a client is not asked where nobody looks', async () => {
    expect((await askAs([first], await startTls({}), { maxVersion })).text).toBe('')
  })

  test('no session is resumed, so nothing of a chain is lost, and nobody is somebody else', async () => {
    const origin = await startTls()
    const { session, text } = await askAs([first, issuing], origin, { maxVersion })
    expect(text).toBe('CN=first CN=issuing')
    const resuming = { maxVersion, ...(session === undefined ? {} : { session }) }
    for (const one of [first, second]) {
      const again = await askAs([one, issuing], origin, resuming)
      expect(again).toMatchObject({ resumed: false, text: `${one.certificate.subject} CN=issuing` })
    }
  })
})

test('sessions are resumed where no certificate is asked for', async () => {
  const origin = await startTls({})
  const { session } = await askAs([], origin, { maxVersion: 'TLSv1.2' })
  const again = { maxVersion: 'TLSv1.2', ...(session === undefined ? {} : { session }) } as const
  expect((await askAs([], origin, again)).resumed).toBe(true)
})

test('a connection does not negotiate again, so it keeps its certificate', async () => {
  const socket = connectAs([first, issuing], await startTls(), { maxVersion: 'TLSv1.2' })
  await once(socket, 'secureConnect')
  const refused = new Promise<Error | null>((resolve) => {
    socket.once('error', resolve)
    socket.renegotiate({}, resolve)
  })
  expect(await refused).toMatchObject({ code: 'ERR_SSL_NO_RENEGOTIATION' })
  socket.destroy()
})

test('a plain connection has shown nothing', async () => {
  expect(await sendRaw(await start({ kind: 'plain' }), request('close'))).toContain('shown: ;')
})
