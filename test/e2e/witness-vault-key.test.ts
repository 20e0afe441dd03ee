import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { systemClock } from '../../src/base/clock.ts'
import { createKeyVaultHeadKey } from '../../src/custody/key-vault-head-key.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { headKey, writeLedger } from '../support/evidence.ts'
import { signing, strike } from '../support/faults.ts'
import { required } from '../support/required.ts'
import { serviceWorld, startServiceEmulator } from '../support/test-service.ts'
import { vaultAccessTo } from '../support/vault-access.ts'

/** A witness whose key is in a vault of its own, as a process: the vault is the emulator's. */

const [hsm] = serviceWorld.vaults
const ownKey = required(hsm?.keys.find(({ name }) => name === 'ledger-heads'))
const program = join(import.meta.dirname, '../../src/cli/countersign.ts')

let emulator: TestEmulator
let folder: string
const at = (name: string) => join(folder, name)
beforeAll(async () => {
  emulator = await startServiceEmulator({
    ...serviceWorld,
    vaults: [
      ...serviceWorld.vaults,
      {
        ...required(hsm),
        name: 'auditor-hsm',
        certificates: [],
        keys: [
          { ...ownKey, name: 'witness' },
          { ...ownKey, name: 'does-more', keyOps: ['sign', 'verify', 'wrapKey'] },
        ],
      },
    ],
  })
  folder = mkdtempSync(join(tmpdir(), 'countersign-witness-vault-'))
  const ledger = await createSqliteLedger({ file: at('countersign.db') })
  const beginsMs = Date.now() - 200_000
  await ledger.append(
    writeLedger({ entries: 130, headEvery: 40, proofEvery: 25, beginsMs }).entries,
  )
  await ledger.close()
  writeFileSync(at('heads.pem'), headKey.publicKey.export({ type: 'spki', format: 'pem' }))
})
afterAll(async () => {
  await emulator.stop()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  emulator.faults.clear()
  for (const name of ['store.json', 'witnessed.jsonl']) rmSync(at(name), { force: true })
})

const vault = () => required(emulator.endpoints.vaults['auditor-hsm'])

function configure(name: string): void {
  const cloud = { authority: emulator.endpoints.authority, vaultSuffix: '127.0.0.1' }
  const file = {
    ledger: at('countersign.db'),
    headKeys: ['heads.pem'],
    key: { vault: vault(), name, cloud },
    store: 'store.json',
    anchors: [{ file: 'witnessed.jsonl' }],
  }
  writeFileSync(at('witness.yaml'), stringify(file))
}

async function countersign(...args: readonly string[]) {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: emulator.endpoints.caFile }
  const child = spawn(process.execPath, [program, ...args], { env, cwd: folder })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}
const once = () => countersign('witness', '--config', at('witness.yaml'), '--once')
const signatures = () =>
  emulator.vaultLog.records().filter(({ operationName, properties: { id } }) => {
    return operationName === 'KeySign' && typeof id === 'string' && id.startsWith(vault())
  })

async function publicPem(): Promise<string | Buffer> {
  const access = vaultAccessTo(emulator, 'countersign')
  const location = { vaultUrl: vault(), vaultKeyName: 'witness', requireHsm: true }
  const { publicKey } = await createKeyVaultHeadKey(location, access, systemClock).load()
  await access.close()
  return publicKey.export({ type: 'spki', format: 'pem' })
}

describe('a witness with its key in a vault', () => {
  test('has heads signed there, which whoever has the public half holds a ledger to', async () => {
    configure('witness')
    const { out, error, code } = await once()
    expect(code, error).toBe(0)
    expect(out).toContain('WITNESSED: up to entry ')
    expect(signatures().map(({ resultType }) => resultType)).toEqual(['Success'])
    const [line = '{}'] = readFileSync(at('witnessed.jsonl'), 'utf8').split('\n')
    const { witnessed } = JSON.parse(line) as { witnessed: string }
    const header = Buffer.from(required(witnessed.split('.', 1)[0]), 'base64url').toString()
    expect(JSON.parse(header)).toMatchObject({ alg: 'PS256', typ: 'countersign-witness+jws' })

    writeFileSync(at('witness.pem'), await publicPem())
    const verified = await countersign(
      ...['ledger', 'verify', '--ledger', at('countersign.db')],
      ...['--witness', at('witnessed.jsonl'), '--witness-key', at('witness.pem')],
    )
    expect(verified.code, verified.out).toBe(0)
    expect(verified.out).toContain('a witness has seen it')
    // The same key goes on where it was.
    expect((await once()).code).toBe(0)
  })

  test('signs nothing with a key that does more, or that is not there', async () => {
    configure('does-more')
    expect(await once()).toMatchObject({
      code: 2,
      error: expect.stringContaining('cannot be used (HEAD_KEY_HAS_OTHER_USES)') as string,
    })
    configure('nowhere')
    expect(await once()).toMatchObject({
      code: 2,
      error: expect.stringContaining('cannot be used (HEAD_KEY_MISSING)') as string,
    })
  })

  test('has seen nothing while the vault does not sign, and all of it when it does again', async () => {
    configure('witness')
    strike(emulator, { ...signing, kind: 'throttle' })
    const { out, code } = await once()
    expect(code, out).toBe(2)
    expect(out).toContain('WITNESS_KEY_VAULT')
    const again = await once()
    expect(again.code, again.error).toBe(0)
    expect(readFileSync(at('witnessed.jsonl'), 'utf8').trimEnd().split('\n')).toHaveLength(1)
  })
})
