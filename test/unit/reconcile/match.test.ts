import { describe, expect, it } from 'vitest'
import type { Entry } from '../../../src/ledger/entry.ts'
import { nothingExpected } from '../../../src/reconcile/expectations.ts'
import type { Expect } from '../../../src/reconcile/expectations.ts'
import { chainedRows } from '../../support/entries.ts'
import { accounted } from '../../support/audit/accounted.ts'
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
  withProofs,
} from '../../support/signed-traffic.ts'

const graceMs = 30 * minuteMs

/** So early that the log stands for the first signature, by whatever clock. */
const firstRecordLine = recordLine(9, { atMs: startMs - minuteMs, operationName: 'KeyGet' })

/** A record of another operation in each hour: the log stands for all of them. */
const everyHour = Array.from({ length: 13 }, (_, hour) =>
  recordLine(800 + hour, {
    atMs: startMs + hour * 60 * minuteMs + 59 * minuteMs,
    operationName: 'KeyGet',
  }),
)

/** What is found when a ledger of these entries meets a log of these lines. */
async function matched(
  entries: readonly Entry[],
  lines: readonly string[],
  nowMs = laterMs,
  expect?: Partial<Expect>,
) {
  const { findings, undecided, vaultLog } = await accounted(
    chainedRows([loaded, ...withProofs(entries)]),
    { vault: lines },
    {
      nowMs,
      graceMs,
      ...(expect === undefined ? {} : { expect: { ...nothingExpected, ...expect } }),
    },
  )
  return { findings, undecided, explained: vaultLog.explained }
}

const nothing = { findings: [], undecided: [] }
const kindsOf = (matches: Awaited<ReturnType<typeof matched>>) =>
  matches.findings.map(({ kind }) => kind)

describe('a signature that ledger and log agree on', () => {
  it('is explained', async () => {
    expect(
      await matched(
        [begun(0), made(0), begun(1), made(1)],
        [0, 1].map((n) => recordLine(n)),
      ),
    ).toEqual({ ...nothing, explained: 2 })
  })

  it('is explained once, however often its record was delivered', async () => {
    const lines = [recordLine(0), recordLine(0), recordLine(0)]
    expect(await matched([begun(0), made(0)], lines)).toEqual({ ...nothing, explained: 1 })
  })

  it('is explained although the ids are written in different case', async () => {
    const line = recordLine(0, { correlationId: requestIdOf(0).toUpperCase() })
    expect(await matched([begun(0), made(0)], [line])).toEqual({ ...nothing, explained: 1 })
  })
})

describe('sign.unexplained', () => {
  const behindOurBack = recordLine(7, { clientInfo: 'curl/8.5.0' })

  it('is a signature that the ledger does not know, with who made it and from where', async () => {
    expect(await matched([begun(0), made(0)], [recordLine(0), behindOurBack])).toEqual({
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

  it('is not a signature that was refused', async () => {
    const refused = recordLine(7, { httpStatusCode: 403, clientInfo: 'curl/8.5.0' })
    expect(await matched([begun(0), made(0)], [recordLine(0), refused])).toEqual({
      ...nothing,
      explained: 1,
    })
  })

  it('is undecided of a request that was refused, while nothing tells who the service is', async () => {
    const refused = recordLine(7, { httpStatusCode: 403, clientInfo: 'curl/8.5.0' })
    const atMs = beganAtMs(7) + 40
    expect(await matched([], [refused])).toEqual({
      findings: [],
      undecided: [{ reason: 'service-not-known', count: 1, fromMs: atMs, toMs: atMs }],
      explained: 0,
    })
  })

  it('is a signature by any version of a key that we use, and not one by another key', async () => {
    const oldVersion = recordLine(7, { id: `${keyUrl}/${'f'.repeat(32)}` })
    const otherKey = recordLine(8, { id: `${keyUrl}-of-others/${'f'.repeat(32)}` })
    const otherVault = recordLine(9, {
      id: keyUrl.replace('contoso', 'fabrikam') + `/${'f'.repeat(32)}`,
    })
    expect(kindsOf(await matched([], [oldVersion, otherKey, otherVault]))).toEqual([
      'sign.unexplained',
    ])
  })

  it('is not another operation with the key', async () => {
    expect(await matched([], [recordLine(7, { operationName: 'KeyVerify' })])).toEqual({
      ...nothing,
      explained: 0,
    })
  })

  it('is sign.repeated as a second signature under an id that is already spent', async () => {
    const again = recordLine(0, { atMs: beganAtMs(5) })
    const { findings, explained } = await matched([begun(0), made(0)], [again, recordLine(0)])
    expect(findings).toMatchObject([
      {
        kind: 'sign.repeated',
        record: { timeMs: beganAtMs(5) },
        first: { timeMs: beganAtMs(0) + 40 },
        signature: signatureIdOf(0),
        attempt: 'attempt-0',
      },
    ])
    expect(explained).toBe(1)
  })
})

describe('a signature that the ledger claims', () => {
  const atMs = beganAtMs(5)
  const claimed = [begun(5), made(5)]

  it.each([
    ['long after it was made', atMs - minuteMs - 1],
    ['before it was made', made(5).atMs + minuteMs + 1],
  ])('%s is sign.differs', async (_, recordedAtMs) => {
    const { findings, explained } = await matched(claimed, [recordLine(5, { atMs: recordedAtMs })])
    expect(findings).toMatchObject([
      {
        kind: 'sign.differs',
        differences: [
          {
            what: 'time',
            ledger: '2026-11-22T04:05:00.000Z to 2026-11-22T04:05:00.080Z',
            vault: new Date(recordedAtMs).toISOString().replace('Z', '4321Z'),
          },
        ],
      },
    ])
    expect(explained).toBe(0)
  })

  it.each([atMs - minuteMs, made(5).atMs + minuteMs])(
    'is explained while the clocks may be apart by what is between them: %i',
    async (recordedAtMs) => {
      const line = recordLine(5, { atMs: recordedAtMs })
      expect(await matched(claimed, [line])).toEqual({ ...nothing, explained: 1 })
    },
  )
})

describe('several records under one id', () => {
  const entries = [begun(0), made(0)]
  const stranger = '51000000-0000-4000-8000-0000000000ee'
  const bothOrders = (lines: readonly string[]) => [lines, lines.toReversed()]

  it.each([
    ['somebody else', { oid: stranger }],
    ['another version of the key', { id: `${keyUrl}/${'f'.repeat(32)}` }],
  ])('are two signatures when they are of one time and by %s', async (_, changes) => {
    for (const lines of bothOrders([recordLine(0), recordLine(0, changes)])) {
      expect(kindsOf(await matched(entries, lines))).toContain('sign.repeated')
    }
  })

  it('are one signature when the other one was refused', async () => {
    for (const lines of bothOrders([recordLine(0), recordLine(0, { httpStatusCode: 429 })])) {
      const options = { nowMs: laterMs, graceMs }
      const { verdict, vaultLog } = await accounted(
        chainedRows([loaded, ...withProofs(entries)]),
        { vault: lines },
        options,
      )
      expect({ verdict, ...vaultLog }).toMatchObject({
        verdict: 'accounted-for',
        signatures: 1,
        explained: 1,
      })
    }
  })

  it('do not make whoever asked for the second one of them us', async () => {
    const second = recordLine(0, { oid: stranger, atMs: beganAtMs(0) + 60 })
    const refused = recordLine(7, { oid: stranger, httpStatusCode: 403 })
    for (const lines of bothOrders([recordLine(0), second])) {
      expect(kindsOf(await matched(entries, [...lines, refused]))).toEqual([
        'sign.repeated',
        'sign.refused-elsewhere',
      ])
    }
  })
})

describe('sign.assumed', () => {
  const lost = failed(0)
  const unusable = failed(0, { code: 'SIGNER_WRONG_SIGNATURE', vaultRequestId: requestIdOf(0) })

  it.each<[string, Entry[]]>([
    ['the reply was lost', [begun(0), lost]],
    ['the reply could not be used', [begun(0), unusable]],
    ['the service died before it could write', [begun(0)]],
  ])('is a signature with our nonce, where %s', async (_, entries) => {
    expect((await matched(entries, [recordLine(0)])).findings).toEqual([
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
    [
      'has the id of a reply that could not be used, and no nonce',
      [begun(0), unusable],
      recordLine(0, { clientInfo: 'countersign/0.1.0' }),
    ],
    [
      'has the nonce and not the id of a reply that could not be used',
      [begun(0), unusable],
      recordLine(0, { correlationId: requestIdOf(1) }),
    ],
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
  ])('is no signature that %s: that one is unexplained', async (_, entries, line) => {
    expect(kindsOf(await matched(entries, [line, lastRecordLine()]))).toContain('sign.unexplained')
    expect(kindsOf(await matched(entries, [line, lastRecordLine()]))).not.toContain('sign.assumed')
  })

  it('is nothing that the vault did not make: a failure on which both agree', async () => {
    const line = recordLine(0, { httpStatusCode: 500, algorithm: '' })
    expect(await matched([begun(0), unusable], [line])).toEqual({ ...nothing, explained: 0 })
  })

  it('serves once: a second signature with the nonce is unexplained, and says whose nonce it is', async () => {
    const again = recordLine(0, { atMs: beganAtMs(0) + 60, correlationId: requestIdOf(5) })
    expect((await matched([begun(0), lost], [again, recordLine(0)])).findings).toMatchObject([
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
  ])('is said when %s', async (_, entries, line, difference) => {
    expect(await matched(entries, [line])).toMatchObject({
      findings: [{ kind: 'sign.differs', signature: signatureIdOf(0), differences: [difference] }],
      explained: 0,
    })
  })

  it('is not said when a refusal is what both know', async () => {
    const refusal = failed(0, { applied: 'no', vaultRequestId: requestIdOf(0) })
    const line = recordLine(0, { httpStatusCode: 403, algorithm: '' })
    expect(await matched([begun(0), refusal], [line])).toEqual({ ...nothing, explained: 0 })
  })

  it('is not said when the record does not tell the version', async () => {
    expect(await matched([begun(0), made(0)], [recordLine(0, { id: keyUrl })])).toEqual({
      ...nothing,
      explained: 1,
    })
  })
})

describe('sign.unrecorded', () => {
  const entries = [begun(0), made(0), begun(1), made(1), begun(2), made(2)]

  it('is a signature of the ledger that a log which stands for its time does not have', async () => {
    const lines = [firstRecordLine, recordLine(0), recordLine(2), lastRecordLine()]
    expect(await matched(entries, lines)).toEqual({
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

  it('is not a signature that failed or whose answer is not known', async () => {
    const others = [begun(3), failed(3), begun(4), failed(4, { applied: 'no' }), begun(5)]
    const lines = [0, 1, 2].map((n) => recordLine(n))
    expect(await matched([...entries, ...others], [...lines, lastRecordLine()])).toEqual({
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
  ])('is undecided %s', async (_, lines, count, first, last) => {
    const { findings, undecided } = await matched(entries, lines)
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
  ])('begins where the log does: when %s', async (_, beforeMs, reasons, kinds) => {
    const first = recordLine(9, { atMs: beganAtMs(0) - beforeMs, operationName: 'KeyGet' })
    // The vault signed in the moment that `begun` was written, and the answer took its time.
    const slow = made(0, { atMs: beganAtMs(0) + minuteMs / 2 })
    const { findings, undecided } = await matched([begun(0), slow], [first, ...everyHour])
    expect(undecided.map(({ reason }) => reason)).toEqual(reasons)
    expect(findings.map(({ kind }) => kind)).toEqual(kinds)
  })

  it('is undecided when the ledger does not say how it began: nobody knows which log would have it', async () => {
    expect((await matched([made(0)], [recordLine(1), lastRecordLine()])).undecided).toMatchObject([
      { reason: 'log-does-not-reach', count: 1 },
    ])
  })

  it('is undecided when the log is of another vault', async () => {
    const other = { id: 'https://other.vault.azure.net/keys/k', operationName: 'KeyGet' }
    const line = recordLine(8, { ...other, atMs: startMs - 1 })
    const end = recordLine(9, { ...other, atMs: laterMs })
    expect((await matched(entries, [line, end])).undecided).toMatchObject([
      { reason: 'log-does-not-reach', count: 3 },
      { reason: 'vault-without-log', count: 1 },
    ])
  })
})

describe('the grace period', () => {
  const unknown = recordLine(5, { clientInfo: 'curl/8.5.0' })
  const lines = [recordLine(0), recordLine(1), unknown, lastRecordLine()]
  const entries = [begun(0), made(0), begun(1), made(1), begun(3), made(3)]

  it('leaves both sides undecided until it is over, and counts them', async () => {
    const { findings, undecided } = await matched(entries, lines, beganAtMs(5) + graceMs)
    expect(findings.map(({ kind }) => kind)).toEqual(['sign.unrecorded'])
    expect(undecided).toEqual([
      {
        reason: 'record-too-young',
        count: 1,
        fromMs: beganAtMs(5) + 40,
        toMs: beganAtMs(5) + 40,
      },
    ])
    expect(await matched(entries, lines, beganAtMs(3) + graceMs)).toMatchObject({
      findings: [],
      undecided: [
        { reason: 'record-too-young', count: 1 },
        { reason: 'signature-too-young', count: 1 },
      ],
    })
  })

  it('decides when it is over', async () => {
    expect(await matched(entries, lines, beganAtMs(6) + graceMs)).toMatchObject({
      findings: [{ kind: 'sign.unexplained' }, { kind: 'sign.unrecorded' }],
      undecided: [],
    })
  })

  it('lets a reply that is still awaited be written before it is assumed', async () => {
    expect(await matched([begun(0)], [recordLine(0)], beganAtMs(1))).toMatchObject({
      findings: [],
      undecided: [{ reason: 'record-too-young', count: 1 }],
    })
  })
})

describe('what is expected', () => {
  const ours = '51000000-0000-4000-8000-000000000001'
  const entries = [begun(0), made(0)]

  it('is nobody in particular, unless it is said', async () => {
    expect(await matched(entries, [recordLine(0)])).toEqual({ ...nothing, explained: 1 })
    const expect1 = { principals: [ours.toUpperCase()], addresses: ['203.0.113.0/24'] }
    expect(await matched(entries, [recordLine(0)], laterMs, expect1)).toEqual({
      ...nothing,
      explained: 1,
    })
  })

  it('makes a signature of ours by somebody else sign.foreign-identity, and elsewhere sign.unexpected-address', async () => {
    const found = await matched(entries, [recordLine(0)], laterMs, {
      principals: ['51000000-0000-4000-8000-000000000009'],
      addresses: ['198.51.100.0/24', '2001:db8::/32'],
    })
    expect(found.explained).toBe(0)
    expect(found.findings).toMatchObject([
      { kind: 'sign.foreign-identity', signature: signatureIdOf(0), attempt: 'attempt-0' },
      { kind: 'sign.unexpected-address', record: { callerIpAddress: '203.0.113.9' } },
    ])
  })

  it('leaves out what was agreed, of that principal alone', async () => {
    const foreign = recordLine(7, { clientInfo: 'curl/8.5.0' })
    const agreed = await matched(entries, [recordLine(0), foreign], laterMs, {
      also: [{ principal: ours }],
    })
    expect(agreed).toEqual({ ...nothing, explained: 1 })
    const { vaultLog } = await accounted(
      chainedRows([loaded, ...withProofs(entries)]),
      { vault: [recordLine(0), foreign, foreign] },
      { nowMs: laterMs, graceMs, expect: { ...nothingExpected, also: [{ principal: ours }] } },
    )
    expect(vaultLog).toMatchObject({ signatures: 2, explained: 1, agreed: 1, duplicates: 1 })
    const other = await matched(entries, [recordLine(0), foreign], laterMs, {
      also: [{ principal: ours, key: { vault: 'contoso-hsm.vault.azure.net', name: 'other' } }],
    })
    expect(kindsOf(other)).toEqual(['sign.unexplained'])
  })

  it.each(['KeyBackup', 'KeyRotate'])(
    'leaves out no %s of somebody who may use the key',
    async (operationName) => {
      const line = recordLine(5, { operationName, id: keyUrl })
      const found = await matched([], [line], laterMs, { also: [{ principal: ours }] })
      expect(found.findings).toMatchObject([{ record: { operationName } }])
    },
  )

  it('does not assume a signature of somebody else to be ours, whatever nonce it has', async () => {
    const lines = [recordLine(0)]
    const strangers = { principals: ['51000000-0000-4000-8000-000000000009'] }
    expect(kindsOf(await matched([begun(0), failed(0)], lines, laterMs, strangers))).toEqual([
      'sign.unexplained',
    ])
    expect(
      kindsOf(await matched([begun(0), failed(0)], lines, laterMs, { principals: [ours] })),
    ).toEqual(['sign.assumed'])
  })

  it('makes a refusal of somebody else sign.refused-elsewhere, and none of ours', async () => {
    const refused = recordLine(7, { httpStatusCode: 403 })
    expect(
      kindsOf(await matched(entries, [recordLine(0), refused], laterMs, { principals: ['other'] })),
    ).toContain('sign.refused-elsewhere')
    expect(await matched(entries, [recordLine(0), refused])).toEqual({ ...nothing, explained: 1 })
    expect(
      await matched(entries, [recordLine(0), recordLine(7, { httpStatusCode: 429 })], laterMs, {
        principals: [ours],
      }),
    ).toEqual({ ...nothing, explained: 1 })
  })
})

describe('what is done to a key', () => {
  const url = (collection: string) => keyUrl.replace('/keys/', `/${collection}/`)

  it.each([
    ['key.exposed', 'SecretGet', url('secrets')],
    ['key.exposed', 'KeyBackup', keyUrl],
    ['key.exposed', 'CertificateBackup', url('certificates')],
    ['key.changed', 'KeyRotate', keyUrl],
    ['key.changed', 'CertificateDelete', url('certificates')],
    ['key.changed', 'VaultPatch', 'https://contoso-hsm.vault.azure.net/'],
    ['key.changed', 'RoleAssignmentCreate', 'https://contoso-hsm.vault.azure.net/'],
  ])('is %s when it is %s', async (kind, operationName, id) => {
    const line = recordLine(5, { operationName, id })
    expect((await matched([], [line, line])).findings).toMatchObject([
      { kind, record: { operationName, oid: '51000000-0000-4000-8000-000000000001' } },
    ])
  })

  it.each([
    ['is done to another key', { operationName: 'KeyBackup', id: `${keyUrl}-of-others` }],
    ['was refused', { operationName: 'SecretGet', id: url('secrets'), httpStatusCode: 403 }],
    ['only reads', { operationName: 'CertificateGet', id: url('certificates') }],
    ['is done to another vault', { operationName: 'VaultPatch', id: 'https://other.net/' }],
  ])('is no finding when it %s', async (_, changes) => {
    expect((await matched([], [recordLine(5, changes)])).findings).toEqual([])
  })
})

describe('an hour without any record', () => {
  const entries = [begun(0), made(0), begun(90), made(90)]

  it('decides nothing: perhaps it was never delivered', async () => {
    const lines = [recordLine(9, { atMs: startMs - minuteMs, operationName: 'KeyGet' })]
    const { findings, undecided } = await matched(entries, [
      ...lines,
      recordLine(0),
      lastRecordLine(),
    ])
    expect(findings).toEqual([])
    expect(undecided).toMatchObject([{ reason: 'hour-not-delivered', count: 1 }])
    const whole = await matched(entries, [...lines, recordLine(0), ...everyHour])
    expect(kindsOf(whole)).toEqual(['sign.unrecorded'])
  })

  it('is logs.silent where heads were signed in it', async () => {
    const head = [90, 91].flatMap((n) => [
      { ...begun(n), purpose: 'head', application: 'countersign', tenant: '' } as unknown as Entry,
      made(n),
    ])
    const { findings, undecided } = await matched(
      [begun(0), made(0), ...head],
      [recordLine(0), lastRecordLine()],
    )
    expect(undecided).toEqual([])
    expect(findings).toEqual([
      {
        kind: 'logs.silent',
        vault: 'contoso-hsm.vault.azure.net',
        heads: 2,
        fromMs: made(90).atMs,
        toMs: made(91).atMs,
      },
    ])
  })
})
