import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublicKey } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isSignedBy, parseHead } from '../../src/custody/head.ts'
import type { Fault } from '../../src/emulator/faults.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { readRows } from '../../src/ledger/read.ts'
import { required } from '../support/required.ts'
import type { TestEmulator } from '../support/emulator.ts'
import {
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type ConfigurationFile,
  type TestService,
} from '../support/test-service.ts'

let emulator: TestEmulator
let folder: string
let anchor: string
let service: TestService

const withHeads =
  (anchors: readonly string[]) =>
  (file: ConfigurationFile): ConfigurationFile => ({
    ...file,
    heads: {
      key: { vault: emulator.vaultUrl('contoso-hsm'), name: 'ledger-heads' },
      everySeconds: 60,
      everyEntries: 100,
      anchors: anchors.map((path) => ({ file: path })),
    },
    machines: { host: '127.0.0.1', port: 0 },
  })

beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterAll(() => emulator.stop())

/** @param others Anchors besides the one of the test. */
const start = async (others: readonly string[] = []) => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-heads-'))
  anchor = join(folder, 'heads.jsonl')
  service = await startTestService({
    emulator,
    configuration: withHeads([...others, anchor]),
  })
}
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
  rmSync(folder, { recursive: true })
})

const look = () => required(service.service.heads).look()
const last = (withinMs = 5000) =>
  required(service.service.heads).signLast(service.clock.monotonicMs() + withinMs)
const ofKind = <Kind extends Entry['kind']>(kind: Kind) =>
  service.entries().filter((entry): entry is Extract<Entry, { kind: Kind }> => entry.kind === kind)
const headOf = ({ head }: { readonly head: string }) => required(parseHead(head))
const strike = (fault: Pick<Fault, 'kind'> & Partial<Fault>) => {
  const defaults = { at: 'vault', times: 1, probability: 1, delayMs: 0, status: 503 } as const
  emulator.faults.add({ ...defaults, match: 'POST /keys/ledger-heads/', ...fault })
}
const readiness = async () => (await service.askAsMachine('GET /readyz')).body
const metric = async (name: string) => {
  const { text } = await service.askAsMachine('GET /metrics')
  return text.split('\n').find((line) => line.startsWith(name))
}

describe('heads of the ledger', () => {
  test('stand for all entries so far, under a key that the ledger has and that does nothing else', async () => {
    await start()
    const before = [...readRows(service.ledgerFile)]
    await look()
    const tip = required(before.at(-1))
    const [loaded] = ofKind('head.key-loaded')
    const [signed] = ofKind('head.signed')
    const head = headOf(required(signed))
    // The key is on record before it signs, so what is signed stands for that too.
    const recordedAt = service.entries().findIndex(({ kind }) => kind === 'head.key-loaded') + 1
    expect(head.statement.sequence).toBeGreaterThanOrEqual(recordedAt)
    expect(head.statement).toMatchObject({
      ledger: Buffer.from(required(before[0]).hash).toString('base64url'),
      sequence: signed?.sequence,
    })
    expect(head.statement.sequence).toBeGreaterThanOrEqual(tip.sequence)
    const row = required([...readRows(service.ledgerFile)][head.statement.sequence - 1])
    expect(head.statement.hash).toBe(Buffer.from(row.hash).toString('base64url'))
    const key = createPublicKey({ key: { ...required(loaded).publicKey }, format: 'jwk' })
    expect(isSignedBy(head, key)).toBe(true)
    expect(head.keyId).toBe(loaded?.keyId)
  })

  test('are signatures like any other: begun before, joined to the record of the vault, and explained', async () => {
    await start()
    await look()
    const [begun] = ofKind('signature.begun')
    const [made] = ofKind('signature.made')
    const [signed] = ofKind('head.signed')
    expect(begun).toMatchObject({ purpose: 'head', application: 'countersign', tenant: '' })
    expect([made?.signature, signed?.signature]).toEqual([begun?.signature, begun?.signature])
    const records = service
      .vaultRecords()
      .filter(({ operationName }) => operationName === 'KeySign')
    expect(records.map(({ correlationId }) => correlationId)).toEqual([made?.vaultRequestId])
  })

  test('come when their time has come, or when enough entries have, and not before', async () => {
    await start()
    await look()
    await look()
    expect(ofKind('head.signed')).toHaveLength(1)
    const token = await service.callerToken('fabrikam-orders')
    for (let asked = 0; asked < 100; asked += 1) {
      expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
    }
    await look()
    expect(ofKind('head.signed')).toHaveLength(2)
    await look()
    expect(ofKind('head.signed')).toHaveLength(2)
    expect(await last()).toBe('signed')
    expect(ofKind('head.signed')).toHaveLength(3)
  })

  test('are kept by each anchor, and one that keeps none is loud and stops no other', async () => {
    const elsewhere = join(tmpdir(), 'not-mounted-here', 'heads.jsonl')
    await start([elsewhere])
    await look()
    const kept = readFileSync(anchor, 'utf8').trimEnd().split('\n')
    expect(kept.map((line) => (JSON.parse(line) as { head: string }).head)).toEqual(
      ofKind('head.signed').map(({ head }) => head),
    )
    expect(service.log().filter((line) => line.includes('ANCHOR_MISSING'))).toHaveLength(1)
    expect(await readiness()).toMatchObject({
      heads: { state: 'ok' },
      anchors: { state: 'failing' },
    })
    expect(await metric('countersign_anchored_heads_total{outcome="failed"}')).toMatch(/ 1$/)
    expect(await metric('countersign_anchored_heads_total{outcome="kept"}')).toMatch(/ 1$/)
  })
})

describe('a head that cannot be signed', () => {
  test.each([
    ['the vault throttles', { kind: 'throttle' as const }, 'no'],
    ['the reply is lost after signing', { kind: 'drop-after' as const }, 'unknown'],
    ['the signature does not verify', { kind: 'wrong-signature' as const }, 'unknown'],
  ])('is loud, is on record, and keeps nobody from a token: %s', async (_, fault, applied) => {
    await start()
    strike(fault)
    await look()
    expect(ofKind('head.signed')).toEqual([])
    expect(ofKind('signature.failed')).toMatchObject([{ applied }])
    expect(await readiness()).toMatchObject({ ready: true, heads: { state: 'failing' } })
    expect(await metric('countersign_heads_total{outcome="failed"}')).toMatch(/ 1$/)
    expect(
      service.log().filter((line) => line.includes('no head of the ledger could be signed')),
    ).toHaveLength(1)
    // Not at every look.
    await look()
    expect(ofKind('signature.begun').filter(({ purpose }) => purpose === 'head')).toHaveLength(1)
    // A vault that throttles is left alone for a moment: by everybody.
    if (fault.kind === 'throttle') emulator.clock.shift(5)
    const token = await service.callerToken('fabrikam-orders')
    expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
  })

  test('is signed at a later look, and that is said', async () => {
    await start()
    strike({ kind: 'wrong-signature' })
    await look()
    emulator.clock.shift(60)
    await look()
    expect(ofKind('head.signed')).toHaveLength(1)
    expect(service.log().some((line) => line.includes('heads are signed again'))).toBe(true)
    expect(await readiness()).toMatchObject({ heads: { state: 'ok' } })
  })

  test('by a key that does not exist says so, and the service serves', async () => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-heads-'))
    service = await startTestService({
      emulator,
      configuration: (file) => ({
        ...withHeads([])(file),
        heads: { key: { vault: emulator.vaultUrl('contoso-hsm'), name: 'absent' } },
      }),
    })
    await look()
    expect(service.log().some((line) => line.includes('HEAD_KEY_MISSING'))).toBe(true)
    const token = await service.callerToken('fabrikam-orders')
    expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
  })
})
