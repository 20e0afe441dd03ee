import { describe, expect, it } from 'vitest'
import type { Entry } from '../../../src/ledger/entry.ts'
import { match } from '../../../src/reconcile/match.ts'
import { vaultRecordFrom } from '../../../src/reconcile/vault-record.ts'
import { VaultLogCollector, watchFrom } from '../../../src/reconcile/vault-log-facts.ts'
import { chainedRows } from '../../support/entries.ts'
import { ledgerFactsFrom } from '../../support/ledger-facts.ts'
import {
  begun,
  beganAtMs,
  failed,
  keyUrl,
  lastRecordLine,
  laterMs,
  loaded,
  made,
  minuteMs,
  recordLine,
  requestIdOf,
  signatureIdOf,
  startMs,
} from '../../support/signed-traffic.ts'

const graceMs = 30 * minuteMs

/** So early that the log stands for the first signature, by whatever clock. */
const firstRecordLine = recordLine(9, { atMs: startMs - minuteMs, operationName: 'KeyGet' })

/** What is found when a ledger of these entries meets a log of these lines. */
function matched(entries: readonly Entry[], lines: readonly string[], nowMs = laterMs) {
  const ledger = ledgerFactsFrom(chainedRows([loaded, ...entries]))
  const collector = new VaultLogCollector(watchFrom(ledger, []))
  for (const line of lines) {
    const record = vaultRecordFrom(JSON.parse(line))
    if (record.kind === 'not-understood') throw new Error(record.why)
    collector.take(record)
  }
  return match(ledger, collector.facts(), { nowMs, graceMs })
}

const nothing = { findings: [], undecided: [] }
const kindsOf = (matches: ReturnType<typeof matched>) => matches.findings.map(({ kind }) => kind)

describe('a signature that ledger and log agree on', () => {
  it('is explained', () => {
    expect(
      matched(
        [begun(0), made(0), begun(1), made(1)],
        [0, 1].map((n) => recordLine(n)),
      ),
    ).toEqual({ ...nothing, explained: 2 })
  })

  it('is explained by a failure after the vault had signed, because the ledger has its id', () => {
    const failure = failed(0, { code: 'SIGNER_WRONG_SIGNATURE', vaultRequestId: requestIdOf(0) })
    expect(matched([begun(0), failure], [recordLine(0)])).toEqual({ ...nothing, explained: 1 })
  })

  it('is explained once, however often its record was delivered', () => {
    const lines = [recordLine(0), recordLine(0), recordLine(0)]
    expect(matched([begun(0), made(0)], lines)).toEqual({ ...nothing, explained: 1 })
  })

  it('is explained although the ids are written in different case', () => {
    const line = recordLine(0, { correlationId: requestIdOf(0).toUpperCase() })
    expect(matched([begun(0), made(0)], [line])).toEqual({ ...nothing, explained: 1 })
  })
})

describe('sign.unexplained', () => {
  const behindOurBack = recordLine(7, { clientInfo: 'curl/8.5.0' })

  it('is a signature that the ledger does not know, with who made it and from where', () => {
    expect(matched([begun(0), made(0)], [recordLine(0), behindOurBack])).toEqual({
      findings: [
        {
          kind: 'sign.unexplained',
          record: expect.objectContaining({
            timeMs: beganAtMs(7) + 40,
            oid: '51000000-0000-4000-8000-000000000001',
            appid: '51000000-0000-4000-8000-0000000000c1',
            callerIpAddress: '203.0.113.9',
            clientInfo: 'curl/8.5.0',
          }) as unknown,
        },
      ],
      undecided: [],
      explained: 1,
    })
  })

  it('is not a signature that was refused', () => {
    const refused = recordLine(7, { httpStatusCode: 403, clientInfo: 'curl/8.5.0' })
    expect(matched([], [refused])).toEqual({ ...nothing, explained: 0 })
  })

  it('is a signature by any version of a key that we use, and not one by another key', () => {
    const oldVersion = recordLine(7, { id: `${keyUrl}/${'f'.repeat(32)}` })
    const otherKey = recordLine(8, { id: `${keyUrl}-of-others/${'f'.repeat(32)}` })
    const otherVault = recordLine(9, {
      id: keyUrl.replace('contoso', 'fabrikam') + `/${'f'.repeat(32)}`,
    })
    expect(kindsOf(matched([], [oldVersion, otherKey, otherVault]))).toEqual(['sign.unexplained'])
  })

  it('is not another operation with the key', () => {
    expect(matched([], [recordLine(7, { operationName: 'KeyVerify' })])).toEqual({
      ...nothing,
      explained: 0,
    })
  })

  it('is a second signature under an id that is already spent', () => {
    const again = recordLine(0, { atMs: beganAtMs(5) })
    expect(kindsOf(matched([begun(0), made(0)], [again, recordLine(0)]))).toEqual([
      'sign.unexplained',
    ])
  })
})

describe('sign.assumed', () => {
  const lost = failed(0)

  it.each<[string, Entry[]]>([
    ['the reply was lost', [begun(0), lost]],
    ['the service died before it could write', [begun(0)]],
  ])('is a signature with our nonce, where %s', (_, entries) => {
    expect(matched(entries, [recordLine(0)]).findings).toEqual([
      {
        kind: 'sign.assumed',
        record: expect.objectContaining({ correlationId: requestIdOf(0) }) as unknown,
        signature: signatureIdOf(0),
        attempt: 'attempt-0',
      },
    ])
  })

  it.each<[string, Entry[], string]>([
    ['has no nonce', [begun(0), lost], recordLine(0, { clientInfo: 'countersign/0.1.0' })],
    ['has the nonce of nobody', [begun(0), lost], recordLine(9, { atMs: beganAtMs(0) })],
    [
      'is by another version',
      [begun(0), lost],
      recordLine(0, { id: `${keyUrl}/${'f'.repeat(32)}` }),
    ],
    ['is by another algorithm', [begun(0), lost], recordLine(0, { algorithm: 'RS256' })],
    ['is too late', [begun(0), lost], recordLine(0, { atMs: beganAtMs(0) + 3 * minuteMs })],
    ['is too early', [begun(0), lost], recordLine(0, { atMs: beganAtMs(0) - 2 * minuteMs })],
    ['was never sent', [begun(0), failed(0, { applied: 'no' })], recordLine(0)],
    [
      'was answered with another id',
      [begun(0), failed(0, { vaultRequestId: requestIdOf(1) })],
      recordLine(0),
    ],
    [
      'is known to have been made',
      [begun(0), made(0, { vaultRequestId: requestIdOf(1) })],
      recordLine(0),
    ],
  ])('is no signature that %s: that one is unexplained', (_, entries, line) => {
    expect(kindsOf(matched(entries, [line, lastRecordLine()]))).toContain('sign.unexplained')
    expect(kindsOf(matched(entries, [line, lastRecordLine()]))).not.toContain('sign.assumed')
  })

  it('serves once: a second signature with the nonce is unexplained, and says whose nonce it is', () => {
    const again = recordLine(0, { atMs: beganAtMs(0) + 60, correlationId: requestIdOf(5) })
    expect(matched([begun(0), lost], [again, recordLine(0)]).findings).toMatchObject([
      { kind: 'sign.assumed', record: { correlationId: requestIdOf(0) } },
      {
        kind: 'sign.unexplained',
        record: { correlationId: requestIdOf(5) },
        nonceOf: signatureIdOf(0),
      },
    ])
  })
})

describe('sign.differs', () => {
  const otherVersion = `${keyUrl}/${'f'.repeat(32)}`

  it.each<[string, Entry[], string, object]>([
    [
      'another version of the key signed',
      [begun(0), made(0)],
      recordLine(0, { id: otherVersion }),
      { what: 'key', ledger: begun(0).keyId, vault: otherVersion },
    ],
    [
      'a key signed that is not ours',
      [begun(0), made(0)],
      recordLine(0, { id: `https://other.vault.azure.net/keys/k/${'f'.repeat(32)}` }),
      { what: 'key', vault: `https://other.vault.azure.net/keys/k/${'f'.repeat(32)}` },
    ],
    [
      'it was by another algorithm',
      [begun(0), made(0)],
      recordLine(0, { algorithm: 'RS256' }),
      { what: 'algorithm', ledger: 'PS256', vault: 'RS256' },
    ],
    [
      'the vault refused what the ledger says is made',
      [begun(0), made(0)],
      recordLine(0, { httpStatusCode: 403, algorithm: '' }),
      { what: 'outcome', ledger: 'signed', vault: 'status 403' },
    ],
    [
      'the vault made what the ledger says is refused',
      [begun(0), failed(0, { applied: 'no', vaultRequestId: requestIdOf(0) })],
      recordLine(0),
      { what: 'outcome', ledger: 'not signed', vault: 'status 200' },
    ],
    ['the ledger never began it', [made(0)], recordLine(0), { what: 'key', ledger: 'never begun' }],
  ])('is said when %s', (_, entries, line, difference) => {
    expect(matched(entries, [line])).toMatchObject({
      findings: [{ kind: 'sign.differs', signature: signatureIdOf(0), differences: [difference] }],
      explained: 0,
    })
  })

  it('is not said when a refusal is what both know', () => {
    const refusal = failed(0, { applied: 'no', vaultRequestId: requestIdOf(0) })
    const line = recordLine(0, { httpStatusCode: 403, algorithm: '' })
    expect(matched([begun(0), refusal], [line])).toEqual({ ...nothing, explained: 0 })
  })

  it('is not said when the record does not tell the version', () => {
    expect(matched([begun(0), made(0)], [recordLine(0, { id: keyUrl })])).toEqual({
      ...nothing,
      explained: 1,
    })
  })
})

describe('sign.unrecorded', () => {
  const entries = [begun(0), made(0), begun(1), made(1), begun(2), made(2)]

  it('is a signature of the ledger that a log which stands for its time does not have', () => {
    const lines = [firstRecordLine, recordLine(0), recordLine(2), lastRecordLine()]
    expect(matched(entries, lines)).toEqual({
      findings: [
        {
          kind: 'sign.unrecorded',
          signature: signatureIdOf(1),
          vaultRequestId: requestIdOf(1),
          madeAtMs: beganAtMs(1) + 80,
          attempt: 'attempt-1',
          keyId: begun(1).keyId,
        },
      ],
      undecided: [],
      explained: 2,
    })
  })

  it('is not a signature that failed or whose answer is not known', () => {
    const others = [begun(3), failed(3), begun(4), failed(4, { applied: 'no' }), begun(5)]
    const lines = [0, 1, 2].map((n) => recordLine(n))
    expect(matched([...entries, ...others], [...lines, lastRecordLine()])).toEqual({
      ...nothing,
      explained: 3,
    })
  })

  it.each([
    ['before the log begins', [recordLine(2), lastRecordLine()], 2, 0, 1],
    ['after the log ends', [recordLine(0)], 2, 1, 2],
    [
      'so near to its end that its record may be late',
      [recordLine(0), lastRecordLine(beganAtMs(2) + 20 * minuteMs)],
      2,
      1,
      2,
    ],
  ])('is undecided %s', (_, lines, count, first, last) => {
    const { findings, undecided } = matched(entries, lines)
    expect(findings).toEqual([])
    expect(undecided).toEqual([
      {
        reason: 'log-does-not-reach',
        count,
        fromMs: beganAtMs(first) + 80,
        toMs: beganAtMs(last) + 80,
      },
    ])
  })

  it.each([
    ['the clocks may be apart by what is between them', minuteMs - 1, ['log-does-not-reach'], []],
    ['they may not', minuteMs, [], ['sign.unrecorded']],
  ])('begins where the log does: when %s', (_, beforeMs, reasons, kinds) => {
    const first = recordLine(9, { atMs: beganAtMs(0) - beforeMs, operationName: 'KeyGet' })
    // The vault signed in the moment that `begun` was written, and the answer took its time.
    const slow = made(0, { atMs: beganAtMs(0) + minuteMs / 2 })
    const { findings, undecided } = matched([begun(0), slow], [first, lastRecordLine()])
    expect(undecided.map(({ reason }) => reason)).toEqual(reasons)
    expect(findings.map(({ kind }) => kind)).toEqual(kinds)
  })

  it('is undecided when the ledger does not say how it began: nobody knows which log would have it', () => {
    expect(matched([made(0)], [recordLine(1), lastRecordLine()]).undecided).toMatchObject([
      { reason: 'log-does-not-reach', count: 1 },
    ])
  })

  it('is undecided when the log is of another vault', () => {
    const other = { id: 'https://other.vault.azure.net/keys/k', operationName: 'KeyGet' }
    const line = recordLine(8, { ...other, atMs: startMs - 1 })
    const end = recordLine(9, { ...other, atMs: laterMs })
    expect(matched(entries, [line, end]).undecided).toMatchObject([
      { reason: 'log-does-not-reach', count: 3 },
    ])
  })
})

describe('the grace period', () => {
  const unknown = recordLine(5, { clientInfo: 'curl/8.5.0' })
  const lines = [recordLine(0), recordLine(1), unknown, lastRecordLine()]
  const entries = [begun(0), made(0), begun(1), made(1), begun(3), made(3)]

  it('leaves both sides undecided until it is over, and counts them', () => {
    const { findings, undecided } = matched(entries, lines, beganAtMs(5) + graceMs)
    expect(findings.map(({ kind }) => kind)).toEqual(['sign.unrecorded'])
    expect(undecided).toEqual([
      {
        reason: 'record-too-young',
        count: 1,
        fromMs: beganAtMs(5) + 40,
        toMs: beganAtMs(5) + 40,
      },
    ])
    expect(matched(entries, lines, beganAtMs(3) + graceMs)).toMatchObject({
      findings: [],
      undecided: [
        { reason: 'record-too-young', count: 1 },
        { reason: 'signature-too-young', count: 1 },
      ],
    })
  })

  it('decides when it is over', () => {
    expect(matched(entries, lines, beganAtMs(6) + graceMs)).toMatchObject({
      findings: [{ kind: 'sign.unexplained' }, { kind: 'sign.unrecorded' }],
      undecided: [],
    })
  })

  it('lets a reply that is still awaited be written before it is assumed', () => {
    expect(matched([begun(0)], [recordLine(0)], beganAtMs(1))).toMatchObject({
      findings: [],
      undecided: [{ reason: 'record-too-young', count: 1 }],
    })
  })
})
