import { generateKeyPairSync } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import type { SigningKey } from '../../../src/base/signing-key.ts'
import { createHeads, type HeadEvents } from '../../../src/custody/heads.ts'
import type { HeadTurns } from '../../../src/custody/head-turns.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import type { Signer } from '../../../src/signer/signer.ts'
import { SignerError } from '../../../src/signer/signer.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

/** Whose turn it is, and what is left of the time: the vault and the ledger are those of test/http. */

const clock = fixedClock(1000)
const key: SigningKey = {
  keyId: 'https://contoso-hsm.vault.azure.net/keys/heads/v1',
  publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
  heldBy: 'hsm',
  notBeforeSeconds: undefined,
  notAfterSeconds: undefined,
}
const end = { ledger: 'one', tip: { sequence: 7, hash: new Uint8Array(32) } }
const signs: Signer = {
  prepare: () => Promise.resolve(),
  sign: () => Promise.resolve({ value: new Uint8Array(256), vaultRequestId: 'known' }),
}
const inTurn: HeadTurns = { take: () => Promise.resolve(end), end: () => Promise.resolve() }

let told: unknown[]
let entries: Entry[]
beforeEach(() => {
  told = []
  entries = []
})
const events: HeadEvents = {
  signed: ({ sequence }) => told.push(['signed', sequence]),
  notSigned: (error) => told.push(['notSigned', error]),
  turnNotEnded: (error) => told.push(['turnNotEnded', error]),
  anchored: () => undefined,
  notAnchored: () => undefined,
}
const heads = (turns: HeadTurns, signer = signs, load = () => Promise.resolve(key)) =>
  createHeads({
    key: { load },
    turns,
    anchors: [],
    ledger: {
      append: (more) => {
        entries.push(...more)
        return Promise.resolve()
      },
      healthy: () => true,
    },
    governor: {
      permit: () =>
        Promise.resolve({
          probes: false,
          leftMs: () => Number.POSITIVE_INFINITY,
          settle: () => undefined,
        }),
      charge: () => undefined,
    },
    signer,
    clock,
    events,
  })
const lastIn = (ms: number) => clock.monotonicMs() + ms
const kinds = () => entries.map(({ kind }) => kind)

test('the last head waits for the turn of another replica', async () => {
  let others = 2
  const turns = {
    ...inTurn,
    take: () => {
      others -= 1
      return Promise.resolve(others < 0 ? end : undefined)
    },
  }
  expect(await heads(turns).signLast(lastIn(60_000))).toBe('signed')
  expect(told).toEqual([['signed', 7]])
})

test('the last head is not signed when the turn does not come in time, and says so', async () => {
  const turns = { ...inTurn, take: () => Promise.resolve(undefined) }
  expect(await heads(turns).signLast(lastIn(2300))).toBe('not-signed')
  expect(kinds()).not.toContain('signature.begun')
})

test('the last head begins nothing when hardly any time is left', async () => {
  expect(await heads(inTurn).signLast(lastIn(1900))).toBe('not-signed')
  expect(entries).toEqual([])
})

test('the last head gives a vault what is left, less what its entries take', async () => {
  const timeouts: number[] = []
  const signer: Signer = {
    ...signs,
    sign: ({ timeoutMs }) => {
      timeouts.push(timeoutMs)
      return Promise.reject(new SignerError('SIGNER_TIMEOUT', 'unknown'))
    },
  }
  expect(await heads(inTurn, signer).signLast(lastIn(5000))).toBe('not-signed')
  expect(timeouts).toEqual([4000])
  expect(kinds()).toEqual(['head.key-loaded', 'signature.begun', 'signature.failed'])
})

test('a look that waits for its key is left off at a stop, and no other one begins', async () => {
  const asked = Promise.withResolvers<undefined>()
  const load = () => {
    asked.resolve(undefined)
    return new Promise<SigningKey>(() => undefined)
  }
  const hanging = heads(inTurn, signs, load)
  const looking = hanging.look()
  await asked.promise
  hanging.leaveOff()
  await looking
  expect(told).toEqual([])
  const fresh = heads(inTurn)
  fresh.leaveOff()
  await fresh.look()
  expect(entries).toEqual([])
  // The end of the run is not what was left off.
  expect(await fresh.signLast(lastIn(5000))).toBe('signed')
})

test('what a vault was asked for is finished at a stop', async () => {
  const asked = Promise.withResolvers<undefined>()
  const answered = Promise.withResolvers<undefined>()
  const signer: Signer = {
    ...signs,
    sign: async (request) => {
      asked.resolve(undefined)
      await answered.promise
      return signs.sign(request)
    },
  }
  const busy = heads(inTurn, signer)
  const looking = busy.look()
  await asked.promise
  busy.leaveOff()
  answered.resolve(undefined)
  await looking
  expect(kinds()).toEqual(['head.key-loaded', 'signature.begun', 'signature.made', 'head.signed'])
})

test('a head is signed although its turn does not end, and both are told', async () => {
  const lost = new Error('the database is away')
  await heads({ ...inTurn, end: () => Promise.reject(lost) }).look()
  expect(told).toEqual([
    ['signed', 7],
    ['turnNotEnded', lost],
  ])
})

test('what kept a head from being signed is told, whatever becomes of its turn', async () => {
  const lost = new Error('the database is away')
  const refused = new SignerError('SIGNER_FORBIDDEN', 'no')
  const signer = { ...signs, sign: () => Promise.reject(refused) }
  await heads({ ...inTurn, end: () => Promise.reject(lost) }, signer).look()
  expect(told).toEqual([
    ['turnNotEnded', lost],
    ['notSigned', refused],
  ])
})
