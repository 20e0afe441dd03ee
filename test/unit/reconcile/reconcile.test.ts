import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ledgerInFile } from '../../../src/ledger/ledger-source.ts'
import { parseKeyUrl } from '../../../src/reconcile/key-name.ts'
import type { KeyName } from '../../../src/reconcile/key-name.ts'
import { reconcile } from '../../support/reconcile-paths.ts'
import type { PathsRequest } from '../../support/reconcile-paths.ts'
import { changeFile } from '../../support/ledger-store.ts'
import { createReconcileFiles } from '../../support/reconcile-files.ts'
import type { ReconcileFiles } from '../../support/reconcile-files.ts'
import {
  begun,
  beganAtMs,
  keyUrl,
  lastRecordLine,
  laterMs,
  loaded,
  made,
  minuteMs,
  recordLine,
  withProofs,
} from '../../support/signed-traffic.ts'

const entries = [loaded, ...withProofs([0, 1, 2].flatMap((index) => [begun(index), made(index)]))]
const lines = [0, 1, 2].map((index) => recordLine(index))

let files: ReconcileFiles
beforeEach(async () => {
  files = await createReconcileFiles(entries)
})
afterEach(() => {
  files.remove()
})

function parsedKey(text: string): KeyName {
  const key = parseKeyUrl(text)
  if (key === undefined) throw new RangeError(`${text} is no key`)
  return key
}

const reconciled = (changes: Partial<PathsRequest> = {}) =>
  reconcile({
    ledger: ledgerInFile(files.ledgerFile),
    vaultLogPaths: [files.logFolder],
    keys: [],
    nowMs: laterMs,
    graceMs: 30 * minuteMs,
    ...changes,
  })

describe('reconciling files', () => {
  it('accounts for all signatures of a storage account, over hours, shapes and repetitions', async () => {
    files.writeBlob(4, `${lines[0] ?? ''}\n${lines[1] ?? ''}\n`)
    files.writeBlob(5, `{"records":[\n${lines[1] ?? ''},\n${lines[2] ?? ''}\n]}\n`)
    files.writeBlob(16, `[${lastRecordLine()}]`)
    expect(await reconciled()).toMatchObject({
      verdict: 'accounted-for',
      findings: [],
      undecided: [],
      ledger: { entries: 10, signaturesBegun: 3, signaturesMade: 3, signaturesOpen: 0 },
      vaultLog: { records: 5, signatures: 3, explained: 3, duplicates: 1, unread: 0 },
      watchedKeys: [keyUrl],
    })
  })

  it('takes files as well as folders, each as often as it is named', async () => {
    const one = files.write('one.json', lines.slice(0, 2).join('\n'))
    const two = files.write('two.jsonl', lines.slice(1).join('\n'))
    expect(await reconciled({ vaultLogPaths: [one, two, one] })).toMatchObject({
      verdict: 'accounted-for',
      vaultLog: { records: 6, signatures: 3, duplicates: 3 },
    })
  })

  it('passes over what is not a blob of records in the folder', async () => {
    files.writeBlob(4, lines.join('\n'))
    files.write('log/readme.json', 'not a record')
    expect(await reconciled()).toMatchObject({ verdict: 'accounted-for' })
  })

  it('decides late what arrives late', async () => {
    files.writeBlob(4, [...lines.slice(0, 2), lastRecordLine()].join('\n'))
    const early = await reconciled({ nowMs: beganAtMs(2) + 20 * minuteMs })
    expect(early).toMatchObject({ verdict: 'undecided', findings: [] })
    files.writeBlob(5, lines[2] ?? '')
    expect(await reconciled()).toMatchObject({ verdict: 'accounted-for' })
  })

  it('finds what the ledger does not know, and what the log does not have', async () => {
    files.writeBlob(4, [lines[0], lines[1], recordLine(9), lastRecordLine()].join('\n'))
    const { verdict, findings } = await reconciled()
    expect(verdict).toBe('findings')
    expect(findings.map(({ kind }) => kind)).toEqual(['sign.unexplained', 'sign.unrecorded'])
  })

  it('finds that the ledger was changed, and still joins what it says', async () => {
    files.writeBlob(4, lines.join('\n'))
    changeFile(files.ledgerFile, 'DELETE FROM entry WHERE sequence = 2')
    const { verdict, findings, vaultLog } = await reconciled()
    expect(verdict).toBe('findings')
    expect(findings).toMatchObject([
      { kind: 'ledger.broken', fault: { fault: 'sequence', sequence: 3, expected: 2 } },
      { kind: 'sign.differs' },
    ])
    expect(vaultLog.explained).toBe(2)
  })

  it('puts findings before what is undecided', async () => {
    files.writeBlob(4, [...lines, recordLine(9), 'not a record', lastRecordLine()].join('\n'))
    expect(await reconciled()).toMatchObject({
      verdict: 'findings',
      findings: [{ kind: 'sign.unexplained' }],
      undecided: [{ reason: 'log-not-understood', count: 1 }],
    })
  })
})

describe('reconcile does not decide', () => {
  it('on a log with places that it cannot read, and names the first of them', async () => {
    const broken = Array.from({ length: 12 }, () => '{"time":')
    const file = files.writeBlob(4, [...lines, ...broken].join('\n'))
    const { verdict, undecided, vaultLog } = await reconciled()
    expect(verdict).toBe('undecided')
    expect(undecided).toEqual([{ reason: 'log-not-understood', count: 12 }])
    expect(vaultLog.unreadPlaces).toHaveLength(10)
    expect(vaultLog.unreadPlaces[0]).toEqual({
      kind: 'unread',
      file,
      line: 4,
      why: 'it is cut off',
    })
  })

  it('on a log without records', async () => {
    files.writeBlob(4, '')
    const { verdict, undecided } = await reconciled()
    expect(verdict).toBe('undecided')
    expect(undecided.map(({ reason }) => reason)).toEqual(['log-does-not-reach', 'log-empty'])
  })

  it('on a watched vault whose log was not given, although the ledger is empty', async () => {
    files.remove()
    files = await createReconcileFiles([])
    files.writeBlob(4, lastRecordLine())
    const there = parsedKey(keyUrl)
    expect(await reconciled({ keys: [there] })).toMatchObject({ verdict: 'accounted-for' })
    expect(await reconciled({ keys: [{ ...there, vault: `${there.vault}:8443` }] })).toMatchObject({
      verdict: 'accounted-for',
    })
    const elsewhere = { vault: 'fabrikam-hsm.vault.azure.net', name: 'standby' }
    const keys = [there, elsewhere, { ...elsewhere, name: 'heads' }]
    expect(await reconciled({ keys })).toMatchObject({
      verdict: 'undecided',
      undecided: [{ reason: 'vault-without-log', count: 1 }],
    })
  })

  it('when nothing says which key to watch; with the key named, it does', async () => {
    files.remove()
    files = await createReconcileFiles([])
    files.writeBlob(4, lines.join('\n'))
    expect(await reconciled()).toMatchObject({
      verdict: 'undecided',
      undecided: [{ reason: 'no-key-to-watch' }],
    })
    const { verdict, findings } = await reconciled({ keys: [parsedKey(keyUrl)] })
    expect(verdict).toBe('findings')
    expect(findings).toHaveLength(3)
  })

  it.each([
    ['a log that is not there', 'LOG_MISSING', { vaultLogPaths: ['/nowhere/log.json'] }],
    ['a folder in which no vault has written', 'LOG_WITHOUT_BLOBS', {}],
  ])('on %s, and says which', async (_, code, changes) => {
    files.write('log/other.json', lines.join('\n'))
    const { verdict, undecided, vaultLog } = await reconciled(changes)
    expect(verdict).toBe('undecided')
    expect(undecided.map(({ reason }) => reason)).toEqual(['log-does-not-reach', 'log-unreadable'])
    expect(vaultLog.unreadable).toMatchObject([{ log: vaultLog.paths[0], code }])
  })

  it('on a ledger that is not there', async () => {
    files.writeBlob(4, lines.join('\n'))
    const ledger = ledgerInFile('/nowhere/countersign.db')
    await expect(reconciled({ ledger })).rejects.toMatchObject({ code: 'LEDGER_MISSING' })
  })

  it('on a ledger that is something else', async () => {
    files.writeBlob(4, lines.join('\n'))
    const file = files.write('text.db', 'not a database, and as long as a header '.repeat(9))
    await expect(reconciled({ ledger: ledgerInFile(file) })).rejects.toMatchObject({
      code: 'LEDGER_NOT_A_LEDGER',
    })
  })
})

describe('a log that is away', () => {
  const away = '/nowhere/log.json'
  const rogue = recordLine(5)

  it.each([
    ['of sign-ins', { signInLogPaths: [away] }, 'signInLog'],
    ['of audits', { auditLogPaths: [away] }, 'auditLog'],
  ] as const)('%s hides nothing of what the others have', async (_, paths, log) => {
    files.writeBlob(4, [...lines, rogue].join('\n'))
    files.writeBlob(16, lastRecordLine())
    const { verdict, findings, undecided, ...report } = await reconciled(paths)
    expect(verdict).toBe('findings')
    expect(findings.map(({ kind }) => kind)).toEqual(['sign.unexplained'])
    expect(undecided).toContainEqual({ reason: 'log-unreadable', count: 1 })
    expect(report[log]?.unreadable).toMatchObject([{ log: away, code: 'LOG_MISSING' }])
  })

  it('leaves it undecided, and no more, where the others fit', async () => {
    files.writeBlob(4, lines.join('\n'))
    files.writeBlob(16, lastRecordLine())
    const signInLogPaths = [away]
    const { verdict, undecided } = await reconciled({ signInLogPaths, applicationIds: ['events'] })
    expect(verdict).toBe('undecided')
    expect(undecided).toEqual([{ reason: 'log-unreadable', count: 1 }])
    expect(await reconciled()).toMatchObject({ verdict: 'accounted-for' })
  })

  it('of a vault may have what another one has not; what that has, counts', async () => {
    files.writeBlob(4, [lines[0], lines[1], rogue].join('\n'))
    files.writeBlob(16, lastRecordLine())
    const kinds = async (...vaultLogPaths: string[]) =>
      (await reconciled({ vaultLogPaths })).findings.map(({ kind }) => kind)
    expect(await kinds(files.logFolder)).toEqual(['sign.unexplained', 'sign.unrecorded'])
    expect(await kinds(files.logFolder, away)).toEqual(['sign.unexplained'])
  })
})
