import { describe, expect, it } from 'vitest'
import type { Entry } from '../../../src/ledger/entry.ts'
import { severityOf } from '../../../src/reconcile/finding.ts'
import { accounted } from '../../support/audit/accounted.ts'
import { chainedRows } from '../../support/entries.ts'
import {
  beganAtMs,
  begun,
  lastRecordLine,
  laterMs,
  loaded,
  made,
  minuteMs,
  proved,
  recordLine,
  signatureOf,
  startMs,
} from '../../support/signed-traffic.ts'

const graceMs = 30 * minuteMs
/** Five minutes that the assertion lives, ten that it is dead, and the grace period. */
const dueMs = beganAtMs(0) + 45 * minuteMs
/** Lives are kept in steps of sixteen seconds. */
const stepMs = 16_000

async function found(entries: readonly Entry[], nowMs = laterMs) {
  const vault = [
    recordLine(9, { atMs: startMs - minuteMs, operationName: 'KeyGet' }),
    recordLine(0),
    recordLine(1),
    lastRecordLine(),
  ]
  const rows = chainedRows(entries)
  const report = await accounted(rows, { vault }, { nowMs, graceMs })
  const { findings, undecided, ledger, verdict } = report
  return {
    verdict,
    reasons: findings.map((one) => (one.kind === 'sign.unproved' ? one.because : one.kind)),
    severities: findings.map(severityOf),
    undecided: undecided.map(({ reason }) => reason),
    notDue: ledger.proofsNotDue,
  }
}

const both = [begun(0), made(0), begun(1), made(1)]
const started = (atMs: number): Entry => ({ kind: 'service.started', atMs, version: '1' })
const stopped = (unproved: number): Entry => ({
  kind: 'service.stopped',
  atMs: beganAtMs(1) + minuteMs,
  unproved,
})

describe('a signature that was made', () => {
  it('is proved by what was signed, published when it is dead', async () => {
    expect(await found([loaded, ...both, proved(0), proved(1)])).toEqual({
      verdict: 'accounted-for',
      reasons: [],
      severities: [],
      undecided: [],
      notDue: 0,
    })
  })

  it('is to be proved later while nobody has waited long enough, and that is no doubt', async () => {
    const entries = [loaded, begun(0), made(0)]
    expect((await found(entries, dueMs - stepMs)).notDue).toBe(1)
    const late = await found(entries, dueMs + stepMs)
    expect([late.reasons.includes('missing'), late.notDue]).toEqual([true, 0])
  })

  it('is unproved when nothing was published', async () => {
    expect(await found([loaded, ...both, proved(1)])).toMatchObject({
      verdict: 'findings',
      reasons: ['missing'],
      severities: ['medium'],
    })
  })

  it.each([
    ['a process began', started(beganAtMs(0) + 5 * minuteMs), 'process-ended', 'low'],
    ['one stopped with some left', stopped(1), 'process-ended', 'low'],
    ['one stopped with none left', stopped(0), 'missing', 'medium'],
    ['a process began later than that', started(beganAtMs(0) + 17 * minuteMs), 'missing', 'medium'],
    ['a process began before it', started(beganAtMs(0) - minuteMs), 'missing', 'medium'],
  ])('is unproved when %s before it could be', async (_, entry, reason, severity) => {
    expect(await found([loaded, ...both, entry, proved(1)])).toMatchObject({
      reasons: [reason],
      severities: [severity],
    })
  })

  it.each([
    [
      'of other bytes',
      proved(0, { signingInput: `${proved(0).signingInput}x` }),
      'not-what-was-begun',
    ],
    ['of another signature', proved(0, { signatureValue: 'AAAA' }), 'not-what-was-made'],
    ['of nothing', proved(0, { signingInput: '', signatureValue: '' }), 'not-what-was-begun'],
  ])('is unproved by a proof %s, at once', async (_, proof, reason) => {
    expect(await found([loaded, ...both, proof, proved(1)], dueMs - minuteMs)).toMatchObject({
      reasons: [reason],
      severities: ['high'],
    })
  })

  it('is unproved by a proof whose signature is of something else', async () => {
    const value = signatureOf(7)
    const claimed = made(0, { signatureSha256: made(7).signatureSha256 })
    const proof = proved(0, { signatureValue: value.toString('base64url') })
    expect(
      await found([loaded, begun(0), claimed, begun(1), made(1), proof, proved(1)]),
    ).toMatchObject({ reasons: ['does-not-verify'], severities: ['high'] })
  })

  it('is unproved by the proof of another one', async () => {
    const { digest, expiresAtSeconds = 0 } = begun(0)
    const copied = begun(1, { digest, expiresAtSeconds })
    const claimed = made(1, { signatureSha256: made(0).signatureSha256 })
    const proof = { ...proved(0), signature: made(1).signature }
    const entries = [loaded, begun(0), made(0), copied, claimed, proved(0), proof]
    expect(await found(entries)).toMatchObject({ reasons: ['used-before'], severities: ['high'] })
  })

  it('is unproved by a proof that was signed for another time than was begun', async () => {
    const { expiresAtSeconds = 0 } = begun(0)
    const entries = [loaded, begun(0, { expiresAtSeconds: expiresAtSeconds + 1 }), made(0)]
    expect(await found([...entries, begun(1), made(1), proved(0), proved(1)])).toMatchObject({
      reasons: ['of-another-time'],
    })
  })

  it('is proved once, whatever else is published of it', async () => {
    const again = [proved(0), proved(0, { signatureValue: 'AAAA' })]
    expect((await found([loaded, ...both, ...again, proved(1)])).reasons).toEqual([])
    const before = [proved(0, { signatureValue: 'AAAA' }), proved(0)]
    expect((await found([loaded, ...both, ...before, proved(1)])).reasons).toEqual([])
  })

  it('is undecided when the ledger has no certificate for its key', async () => {
    expect(await found([...both, proved(0), proved(1)])).toMatchObject({
      verdict: 'undecided',
      reasons: [],
      undecided: ['proof-without-certificate'],
    })
  })
})
