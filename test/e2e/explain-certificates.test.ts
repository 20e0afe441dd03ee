import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientOrder } from '../../src/emulator/clients/client-order.ts'
import {
  cast,
  deployAsk,
  ordersAsk,
  type AskOptions,
  type TestService,
} from '../support/test-service.ts'
import { clientOrder } from '../support/tls-clients.ts'
import { startTlsService, type TlsService } from '../support/tls-service.ts'

/** What is said of somebody with a certificate, beside the service that answers them. */

const program = join(import.meta.dirname, '../../bin/countersign.js')
const export_ = 'spiffe://fabrikam.example/billing/export'
const onCall = 'spiffe://fabrikam.example/security/on-call'
let tls: TlsService
let service: TestService

beforeAll(async () => {
  tls = await startTlsService({
    grants: [
      {
        grant: 'export',
        caller: { issuer: 'edge', claims: { uri: export_ } },
        may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
      },
      {
        grant: 'incident-response',
        caller: { issuer: 'edge', claims: { uri: onCall } },
        may: [{ admin: 'revoke' }],
      },
    ],
  })
  service = tls.service
})
afterAll(() => tls.stop())

async function explain(...args: readonly string[]) {
  const config = ['--config', join(service.folder, 'countersign.yaml')]
  const child = spawn(process.execPath, [program, 'explain', ...config, ...args], {
    cwd: service.folder,
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end()
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

/** As clients keep it: certificate, CAs and key in one file. */
async function issued(order: Partial<ClientOrder>) {
  const credential = await service.emulator.clients.issue(clientOrder(order))
  const file = join(service.folder, 'client.pem')
  writeFileSync(file, credential.certificatePem + credential.keyPem)
  return { credential, file }
}

interface Wanted {
  readonly args: readonly string[]
  readonly request: string
  readonly options: AskOptions
}
const inFabrikam = (application: string) => [
  '--application',
  application,
  '--tenant',
  cast.fabrikam,
]
const wanted = {
  token: {
    args: [...inFabrikam('events'), '--scope', cast.orders],
    request: 'POST /v1/token',
    options: { json: ordersAsk },
  },
  assertion: {
    args: [...inFabrikam('deploy'), '--assertion'],
    request: 'POST /v1/assertion',
    options: { json: deployAsk },
  },
  revocations: { args: ['--admin', 'revoke'], request: 'GET /v1/revocations', options: {} },
} satisfies Record<string, Wanted>

type Case = readonly [
  what: string,
  order: Partial<ClientOrder>,
  want: keyof typeof wanted,
  said: string,
]

const granted: readonly Case[] = [
  ['a workload that is granted this', {}, 'token', 'GRANTED: by grant: export\n'],
  [
    'somebody who may stop things',
    { names: [onCall] },
    'revocations',
    'GRANTED: by grant: incident-response\n',
  ],
]

const refusedBy = (reason: string, detail: string) =>
  `REFUSED: nobody is proven. ${reason} by the rules of issuer edge (${detail})\n`

const refused: readonly Case[] = [
  [
    'a workload that is granted something else',
    {},
    'assertion',
    'grant export: names this caller, and gives no assertion of deploy\n',
  ],
  [
    'a workload that may stop nothing',
    {},
    'revocations',
    'grant export: names this caller, and does not let it revoke\n',
  ],
  [
    'somebody who may stop things, and have nothing',
    { names: [onCall] },
    'token',
    'grant incident-response: names this caller, and gives no token of events\n',
  ],
  [
    'a workload of another name',
    { names: [`${export_}2`] },
    'token',
    `grant export: claim uri is "${export_}2", and must be "${export_}"\n`,
  ],
  [
    'a certificate that has expired',
    { wrong: 'expired' },
    'token',
    refusedBy('caller_certificate_refused', 'expired'),
  ],
  [
    'a certificate for servers',
    { wrong: 'server-purpose' },
    'token',
    refusedBy('caller_certificate_refused', 'not for clients'),
  ],
  [
    'a certificate with two names',
    { names: [export_, onCall] },
    'revocations',
    refusedBy('caller_certificate_refused', 'more than one uri in it'),
  ],
  [
    'a certificate of nobody’s CA',
    { wrong: 'self-signed' },
    'token',
    'REFUSED: nobody is proven. caller_certificate_unknown\n',
  ],
]

describe('countersign explain, with a certificate, and the service', () => {
  test.each([
    ...granted.map((one) => [true, ...one] as const),
    ...refused.map((one) => [false, ...one] as const),
  ])('say the same (%s) of %s', async (isGranted, _, order, want, said) => {
    const { credential, file } = await issued(order)
    const { args, request, options } = wanted[want]
    const { out, error, code } = await explain('--certificate', file, ...args)
    const answer = await service.ask(request, {
      ...options,
      dispatcher: tls.files.connections(credential),
    })

    expect(error).toBe('')
    expect(out).toContain(said)
    expect(code).toBe(isGranted ? 0 : 1)
    expect(answer.status === 200).toBe(isGranted)
    for (const line of credential.keyPem.split('\n').slice(1, -2)) expect(out).not.toContain(line)
  })

  test('says nothing of a file that is no certificate', async () => {
    const key = (await issued({})).credential.keyPem
    writeFileSync(join(service.folder, 'key.pem'), key)
    for (const file of ['key.pem', 'none.pem', key]) {
      const { out, error, code } = await explain('--certificate', file, '--admin', 'revoke')
      expect(code).toBe(2)
      expect(error).toContain('--certificate must be a PEM file with a client certificate')
      expect(out + error).not.toContain(key.split('\n')[1])
    }
  })

  test.each([
    [['--admin', 'everything'], '--admin must be revoke, and --audit read, alone'],
    [
      ['--admin', 'revoke', '--tenant', cast.fabrikam],
      '--admin must be revoke, and --audit read, alone',
    ],
    [['--admin', 'revoke', '--assertion'], '--admin must be revoke, and --audit read, alone'],
    [['--audit', 'everything'], '--admin must be revoke, and --audit read, alone'],
    [['--scope', cast.orders], '--application must be a name'],
    [['--application', 'events', '--scope', cast.orders], '--tenant must be a GUID'],
    [['--admin', 'revoke', '--token', '-'], 'give either --token FILE, --certificate FILE, or'],
  ])('refuses %o', async (args, message) => {
    const { file } = await issued({})
    const { error, code } = await explain('--certificate', file, ...args)
    expect(error).toContain(message)
    expect(code).toBe(2)
  })
})
