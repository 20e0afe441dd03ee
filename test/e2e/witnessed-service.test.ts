import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { headSigningInput, type HeadStatement, parseHead } from '../../src/custody/head.ts'
import { compactFrom } from '../../src/custody/own-jws.ts'
import { genesis, type Row } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { readRows } from '../../src/ledger/read.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { entryOf, rowBehind } from '../support/evidence.ts'
import { freePort } from '../support/free-port.ts'
import { changeFile, verifiedEntries } from '../support/ledger-store.ts'
import { required } from '../support/required.ts'
import { type LogLine, serveFrom, type Served } from '../support/served.ts'
import {
  cast,
  defaultGrants,
  type GrantFile,
  ordersAsk,
  startServiceEmulator,
} from '../support/test-service.ts'
import { createTestWitnessKey } from '../support/witness.ts'

/** A service, who witnesses it, and a thief of the service's identity: each a process, or what it writes and asks. */

const program = join(import.meta.dirname, '../../src/cli/countersign.ts')
const auditor = 'bystander'
const auditors: GrantFile = {
  grant: 'auditors',
  caller: {
    issuer: 'contoso',
    claims: { tid: cast.contoso, oid: '51000000-0000-4000-8000-000000000003' },
  },
  may: [{ audit: 'read' }],
}

let emulator: TestEmulator
let folder: string
/** The same for each run: a witness knows a service by its origin. */
let port: number
let served: Served[]
let running: ChildProcess[]
const at = (name: string) => join(folder, name)
const ledgerFile = () => at('countersign.db')

beforeAll(async () => {
  emulator = await startServiceEmulator()
  folder = mkdtempSync(join(tmpdir(), 'countersign-witnessed-'))
  port = await freePort()
  served = []
  running = []
})
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all(served.map((one) => one.remove()))
})
afterAll(async () => {
  await emulator.stop()
  rmSync(folder, { recursive: true })
})

async function serve(): Promise<Served> {
  const service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      listen: { host: '127.0.0.1', port },
      issuers: { ...file.issuers, contoso: { kind: 'entra', tenants: [cast.contoso] } },
      ledger: { sqlite: ledgerFile() },
      heads: {
        key: { vault: emulator.vaultUrl('contoso-hsm'), name: 'ledger-heads' },
        everySeconds: 10,
      },
    }),
    grants: [...defaultGrants, auditors],
  })
  served.push(service)
  await service.said('ready')
  return service
}

async function stop(service: Served): Promise<void> {
  service.signal('SIGTERM')
  expect(await service.ended).toBe(0)
}

async function issue(service: Served): Promise<string> {
  const response = await fetch(`${await service.origin()}/v1/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await emulator.token('fabrikam-orders', cast.publicUrl)}`,
    },
    body: JSON.stringify(ordersAsk),
  })
  expect(response.status).toBe(200)
  const { attempt } = (await response.json()) as { readonly attempt: string }
  return attempt
}

/** On the auditor's machine, with the auditor's identity and the public key of heads as the vault shows it. */
async function configureWitness(): Promise<void> {
  const key = createTestWitnessKey()
  const pem = { format: 'pem' } as const
  writeFileSync(at('key.pem'), key.privateKey.export({ ...pem, type: 'pkcs8' }))
  writeFileSync(at('witness.pem'), key.publicKey.export({ ...pem, type: 'spki' }))
  const token = await emulator.token('countersign')
  const shown = await emulator.ask('contoso-hsm', 'GET /keys/ledger-heads?api-version=7.6', {
    token,
  })
  writeFileSync(at('heads.json'), JSON.stringify((shown.body as { readonly key: object }).key))
  const written = {
    service: { url: `http://127.0.0.1:${port}`, audience: cast.publicUrl },
    identity: { kind: 'managed-identity' },
    headKeys: ['heads.json'],
    key: 'key.pem',
    store: 'store.json',
    anchors: [{ file: 'witnessed.jsonl' }],
    headEverySeconds: 10,
    silentAfterHeads: 100,
    everySeconds: 1,
  }
  writeFileSync(at('witness.yaml'), JSON.stringify(written))
}

function spawnCountersign(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...required(emulator.endpoints.environments[auditor]?.['app-service']) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  return child
}

async function countersign(...args: readonly string[]) {
  const child = spawnCountersign(...args)
  let out = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out }
}

/** `countersign witness`, which goes on until it is killed. */
function witness() {
  const child = spawnCountersign('witness', '--config', at('witness.yaml'))
  const log: LogLine[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(JSON.parse(line) as LogLine)
    child.emit('logged')
  })
  const ended = once(child, 'close') as Promise<[number | null]>
  const said = async (msg: string, fits: (line: LogLine) => boolean = () => true) => {
    for (;;) {
      const line = log.find((one) => one.msg === msg && fits(one))
      if (line !== undefined) return line
      const which = await Promise.race([once(child, 'logged').then(() => 'logged'), ended])
      if (which !== 'logged') throw new Error(`it never said "${msg}": ${JSON.stringify(log)}`)
    }
  }
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal)
    const [code] = await ended
    return code
  }
  return { said, end }
}

/** What a thief of the service's identity asks of the vault. */
async function headSignedByTheVault(statement: HeadStatement, keyId: string): Promise<string> {
  const input = headSigningInput(statement, keyId)
  const path = new URL(keyId).pathname
  const { status, body } = await emulator.ask('contoso-hsm', `POST ${path}/sign?api-version=7.6`, {
    token: await emulator.token('countersign'),
    headers: { 'content-type': 'application/json' },
    body: { alg: 'PS256', value: sha256Base64url(input) },
  })
  expect(status).toBe(200)
  const { value } = body as { readonly value: string }
  return compactFrom(input, Buffer.from(value, 'base64url'))
}

/** Another history in the file: one attempt is somebody else's, and all behind it is made and signed anew. */
async function rewrite(attempt: string): Promise<void> {
  const old = [...readRows(ledgerFile())].map(entryOf)
  const rows: Row[] = []
  const signedAnew = new Map<string, string>()
  for (const [index, entry] of old.entries()) {
    if (entry.kind === 'signature.begun' && entry.purpose === 'head') {
      const head = await signedAgain(entry.signature, entry.keyId, old.slice(index), rows)
      signedAnew.set(entry.signature, head)
    }
    const forged = withHead(withOtherCaller(entry, attempt), signedAnew)
    rows.push(rowBehind(rows.at(-1) ?? genesis, forged))
  }
  const values = rows.map(({ sequence, hash, canonical }) => {
    const text = Buffer.from(canonical).toString().replaceAll("'", "''")
    return `(${sequence}, x'${Buffer.from(hash).toString('hex')}', '${text}')`
  })
  changeFile(ledgerFile(), `DELETE FROM entry; INSERT INTO entry VALUES ${values.join(',')}`)
}

async function signedAgain(
  signature: string,
  keyId: string,
  entries: readonly Entry[],
  rows: readonly Row[],
): Promise<string> {
  const signed = entries.find(
    (one) => one.kind === 'head.signed' && one.signature === signature,
  ) as Extract<Entry, { readonly kind: 'head.signed' }>
  const { statement } = required(parseHead(signed.head))
  const hash = Buffer.from(required(rows[statement.sequence - 1]).hash).toString('base64url')
  return headSignedByTheVault({ ...statement, hash }, keyId)
}

const withOtherCaller = (entry: Entry, attempt: string): Entry =>
  'caller' in entry && 'attempt' in entry && entry.attempt === attempt
    ? { ...entry, caller: { issuer: 'github', subject: 'somebody-else' } }
    : entry

function withHead(entry: Entry, signedAnew: ReadonlyMap<string, string>): Entry {
  const head = 'signature' in entry ? signedAnew.get(entry.signature) : undefined
  if (head === undefined) return entry
  const cut = head.lastIndexOf('.')
  if (entry.kind === 'head.signed') return { ...entry, head }
  if (entry.kind === 'signature.begun') {
    return { ...entry, digest: sha256Base64url(head.slice(0, cut)) }
  }
  if (entry.kind !== 'signature.made') return entry
  const value = Buffer.from(head.slice(cut + 1), 'base64url')
  return { ...entry, signatureSha256: sha256Base64url(value) }
}

test(
  'a witness that was killed and goes on names the service whose ledger a thief of its identity has signed anew',
  { timeout: 180_000 },
  async () => {
    const first = await serve()
    await configureWitness()
    const killed = witness()
    await killed.said('heads were witnessed')
    await killed.end('SIGKILL')

    const attempt = await issue(first)
    const issued = verifiedEntries(ledgerFile()).length
    const follows = witness()
    await follows.said('heads were witnessed', ({ witnessed }) => Number(witnessed) >= issued)
    expect(
      verifiedEntries(ledgerFile()).filter(
        (entry) => entry.kind === 'audit.read' && entry.grant === 'auditors',
      ),
    ).not.toEqual([])
    await stop(first)
    const evidence = ['--witness', at('witnessed.jsonl'), '--witness-key', at('witness.pem')]
    const verify = (...held: readonly string[]) =>
      countersign('ledger', 'verify', '--ledger', ledgerFile(), ...held)
    expect(await verify(...evidence)).toMatchObject({
      code: 0,
      out: expect.stringContaining('Proven unrewritten up to entry') as string,
    })

    await rewrite(attempt)
    // By itself, and by the key of its heads, it is sound.
    expect(await verify('--head-key', at('heads.json'))).toMatchObject({
      code: 0,
      out: expect.stringContaining('Self-consistent, not proven unrewritten') as string,
    })
    const second = await serve()
    const alarm = await follows.said('an alarm is raised')
    expect(alarm).toMatchObject({ alarm: 'head.contradicts' })
    expect(readFileSync(at('witnessed.jsonl'), 'utf8')).toContain(String(alarm['witnessed']))
    expect(readFileSync(at('witnessed.jsonl'), 'utf8')).not.toContain(String(alarm['offered']))
    expect(await follows.end('SIGTERM')).toBe(0)
    expect(await countersign('witness', '--config', at('witness.yaml'), '--once')).toMatchObject({
      code: 1,
      out: expect.stringContaining('ALARM: head.contradicts') as string,
    })
    await stop(second)
    expect(await verify(...evidence)).toMatchObject({
      code: 1,
      out: expect.stringContaining('the same key has signed it anew') as string,
    })
  },
)
