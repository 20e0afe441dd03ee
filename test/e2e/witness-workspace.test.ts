import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createClientCertificate } from '../support/client-certificate.ts'
import { jwtBearer, signAssertion, tokenForm } from '../support/emulated-entra.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, startServiceEmulator } from '../support/test-service.ts'
import { obtainToken } from '../support/token-status.ts'
import { createTestWitnessKey } from '../support/witness.ts'
import { workspaceId } from '../support/workspace.ts'

/** `countersign witness` over logs that are nowhere but in a workspace, by the auditor's own managed identity. */

const program = join(import.meta.dirname, '../../src/cli/countersign.ts')
const auditor = 'bystander'
const stranger = '51000000-0000-4000-8000-0000000000ff'

let folder: string
let emulator: TestEmulator
let service: Served
let running: ChildProcess[]
const at = (name: string) => join(folder, name)
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-witness-workspace-'))
  running = []
  emulator = await startServiceEmulator()
  emulator.logsQuery.letRead(workspaceId, [auditor])
  service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      heads: { key: { vault: emulator.vaultUrl('contoso-hsm'), name: 'ledger-heads' } },
    }),
  })
  await service.said('ready')
  await obtainToken(emulator, service)
  const key = createTestWitnessKey()
  writeFileSync(at('key.pem'), key.privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const token = await emulator.token('countersign')
  const path = 'GET /keys/ledger-heads?api-version=7.6'
  const { body } = await emulator.ask('contoso-hsm', path, { token })
  writeFileSync(at('heads.json'), JSON.stringify((body as { readonly key: object }).key))
})
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL')
  await service.remove()
  await emulator.stop()
  rmSync(folder, { recursive: true })
})

/** A certificate of somebody else's on our application, and its use. */
async function signInWithForeignCertificate(): Promise<void> {
  const rogue = await createClientCertificate()
  const cer = rogue.der.toString('base64')
  await emulator.control('POST /applications/events/certificates', { cer })
  const url = `${emulator.endpoints.authority}/${cast.fabrikam}/oauth2/v2.0/token`
  const assertion = await signAssertion(rogue, Math.floor(emulator.clock.nowMs() / 1000), {
    claims: { aud: url },
  })
  const agent = new Agent({ connect: { ca: emulator.ca } })
  const { statusCode } = await request(url, {
    method: 'POST',
    dispatcher: agent,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: tokenForm(assertion, { client_assertion_type: jwtBearer }),
  })
  await agent.close()
  expect(statusCode).toBe(200)
}

/** JSON is YAML. */
function configure(expected: object): void {
  const place = { workspace: workspaceId, endpoint: emulator.endpoints.logsQuery }
  const written = {
    ledger: service.ledgerFile,
    headKeys: ['heads.json'],
    key: 'key.pem',
    store: 'store.json',
    anchors: [{ file: 'witnessed.jsonl' }],
    silentAfterHeads: 1000,
    expect: expected,
    reconcile: {
      sources: [{ vaultLog: place }, { signInLog: place }, { auditLog: place }],
      cloud: { authority: emulator.endpoints.authority, vaultSuffix: '127.0.0.1' },
      graceMinutes: 0,
    },
  }
  writeFileSync(at('witness.yaml'), JSON.stringify(written))
}

/** Not by `spawnSync`: the emulator is in this process. */
async function look() {
  const args = [program, 'witness', '--config', at('witness.yaml'), '--once']
  const child = spawn(process.execPath, args, {
    env: {
      ...required(emulator.endpoints.environments[auditor]?.['app-service']),
      NODE_EXTRA_CA_CERTS: emulator.endpoints.caFile,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.push(child)
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const [, kinds = '{}'] = /^ALARM: reconcile\.findings \{"kinds":(.*)\}$/m.exec(out) ?? []
  return { code, out, kinds: Object.keys(JSON.parse(kinds) as object).toSorted() }
}

test(
  'raises whose hands a signature was by, and who signed in as the application, by what it reads itself',
  { timeout: 240_000 },
  async () => {
    configure({ principals: [cast.serviceObjectId] })
    await signInWithForeignCertificate()
    const found = await look()
    expect(found).toMatchObject({ code: 1 })
    expect(found.kinds).toEqual(['application.changed', 'signin.foreign-credential'])

    configure({ principals: [stranger] })
    const foreign = await look()
    expect(foreign.kinds).toContain('sign.foreign-identity')
    expect(foreign.kinds).toContain('signin.foreign-credential')

    // Whoever may not read is told so, and raises nothing that was not seen.
    emulator.logsQuery.letRead(workspaceId, ['countersign'])
    const refused = await look()
    expect(refused).toMatchObject({ code: 2, kinds: [] })
    expect(refused.out).toContain('NOT TO THE END: LOG_FORBIDDEN')
  },
)
