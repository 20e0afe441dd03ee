import { afterEach, expect, test } from 'vitest'
import type { Entry } from '../../../src/ledger/entry.ts'
import { attemptStory, type StoryLogs } from '../../../src/reconcile/attempt-story.ts'
import { logFolders } from '../../support/log-folders.ts'
import { createReconcileFiles, type ReconcileFiles } from '../../support/reconcile-files.ts'
import {
  begun,
  failed,
  made,
  minuteMs,
  recordLine,
  requestIdOf,
  signatureIdOf,
  startMs,
} from '../../support/signed-traffic.ts'

const stranger = '51000000-0000-4000-8000-0000000000ff'

let files: ReconcileFiles | undefined
afterEach(() => {
  files?.remove()
})

async function storyOf(
  entries: readonly Entry[],
  records: readonly string[],
  logs: Pick<StoryLogs, 'expect'> = {},
) {
  files = await createReconcileFiles(entries)
  const log = files.write('log.json', records.map((line) => `${line}\n`).join(''))
  const numbered = entries.map((entry, index) => ({ sequence: index + 1, entry: { ...entry } }))
  const { events, notFound } = await attemptStory('attempt-0', numbered, {
    sources: logFolders({ vaultLogs: [log], signInLogs: [], auditLogs: [] }),
    ...logs,
  })
  return {
    records: events
      .filter(({ from }) => from === 'vault-log')
      .map(({ joinedBy, carriesNonceOf, facts }) => ({
        id: facts['correlationId'],
        by: joinedBy ?? 'nothing',
        ...(carriesNonceOf === undefined ? {} : { carriesNonceOf }),
        of: facts['signature'],
      })),
    notFound: notFound.map(({ id }) => id),
  }
}

const own = { id: requestIdOf(0), by: 'x-ms-request-id', of: signatureIdOf(0) }
const carrying = (id: string) => ({
  id,
  by: 'nothing',
  carriesNonceOf: signatureIdOf(0),
  of: undefined,
})
/** As whoever has read the vault's log can sign. */
const copy = (index: number, atMs: number, oid = stranger) =>
  recordLine(0, { atMs, correlationId: requestIdOf(index), oid })

test('a signature is the one whose id the vault has answered, and no other that carries its nonce', async () => {
  const copies = [copy(7, startMs + 40), copy(8, startMs + 300 * minuteMs)]
  expect(await storyOf([begun(0), made(0)], [...copies, recordLine(0)])).toEqual({
    records: [own, carrying(requestIdOf(7)), carrying(requestIdOf(8))],
    notFound: [],
  })
  expect(await storyOf([begun(0), made(0)], copies)).toEqual({
    records: [carrying(requestIdOf(7)), carrying(requestIdOf(8))],
    notFound: [signatureIdOf(0)],
  })
})

test('a signature that was refused under an id is that refusal, and no success that carries its nonce', async () => {
  const refused = failed(0, { code: 'SIGNER_FORBIDDEN', vaultRequestId: requestIdOf(0) })
  const lines = [recordLine(0, { httpStatusCode: 403 }), copy(7, startMs + 1000)]
  expect((await storyOf([begun(0), refused], lines)).records).toEqual([
    own,
    carrying(requestIdOf(7)),
  ])
})

test('a signature whose answer was lost is one record with its nonce, however often that came', async () => {
  const lost = recordLine(0)
  expect(await storyOf([begun(0), failed(0)], [lost, copy(7, startMs + 5000), lost])).toEqual({
    records: [{ ...own, by: 'signature-nonce' }, carrying(requestIdOf(7))],
    notFound: [],
  })
})

test.each([
  ['of another time', copy(7, startMs + 5 * minuteMs)],
  ['by another key', recordLine(0, { id: 'https://contoso-hsm.vault.azure.net/keys/other/1' })],
  ['with another algorithm', recordLine(0, { algorithm: 'RS256' })],
])('a signature whose answer was lost is no record %s', async (_, line) => {
  const { records, notFound } = await storyOf([begun(0), failed(0)], [line])
  expect(records).toEqual([expect.objectContaining({ by: 'nothing', of: undefined })])
  expect(notFound).toEqual([signatureIdOf(0)])
})

test('a signature whose answer was lost is by whom it is expected of, where that was said', async () => {
  const line = copy(7, startMs + 40)
  const expectOf = (oid: string) => ({
    expect: { principals: [oid], addresses: [], also: [] },
  })
  const entries = [begun(0), failed(0)]
  expect((await storyOf(entries, [line], expectOf(stranger))).notFound).toEqual([])
  files?.remove()
  const ours = '51000000-0000-4000-8000-000000000001'
  expect(await storyOf(entries, [line], expectOf(ours))).toEqual({
    records: [carrying(requestIdOf(7))],
    notFound: [signatureIdOf(0)],
  })
})

test('records of other signatures are in nobody’s story', async () => {
  expect(await storyOf([begun(0), made(0)], [recordLine(1), recordLine(0)])).toEqual({
    records: [own],
    notFound: [],
  })
})
