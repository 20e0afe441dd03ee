import { hash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { inspect } from 'node:util'
import { Command, InvalidArgumentError } from 'commander'
import { isoTimeFrom, parseIsoTime, systemClock } from '../base/clock.ts'
import { newestHeldHead, type HeldHead } from '../custody/choose-cut.ts'
import { readExportedUpTo } from '../custody/file-export-cursor.ts'
import { createHeadKeys } from '../custody/head-keys.ts'
import { nameOfStream } from '../custody/log-destination.ts'
import { CarriedKeys, type Need, type NeedReason, StillNeeded } from '../custody/still-needed.ts'
import type { Evidence, LedgerVerdict } from '../custody/ledger-verdict.ts'
import { verifyLedger } from '../custody/verify-ledger.ts'
import type { Cut } from '../ledger/cut.ts'
import { exportedLine } from '../ledger/exported-ledger.ts'
import { sqliteCode } from '../ledger/ledger-file.ts'
import type { ExportedUpTo } from '../ledger/exported-up-to.ts'
import type { KeptLedger, LedgerSource } from '../ledger/ledger-source.ts'
import { moveMarkOf, moveText } from '../ledger/move-mark.ts'
import { CommandError } from './command-error.ts'
import { type EvidenceOptions, evidenceOptions, readEvidence } from './evidence-files.ts'
import { isExpectedOfLedger, ledgerNamedBy, ledgerOptions, passwordNote } from './ledger-options.ts'
import type { LedgerOptions, NamedLedger } from './ledger-options.ts'
import { verdictLines } from './ledger-verdict.ts'

interface PruneOptions extends LedgerOptions, EvidenceOptions {
  readonly before?: number
  readonly upTo?: number
  /** A file, or nothing at all by `--without-export`. */
  readonly export?: string
  readonly withoutExport?: true
}

export const pruneExample = `
Example, with a witness; a service on a file is stopped meanwhile, replicas on PostgreSQL go on:
  $ countersign ledger prune --ledger /var/lib/countersign/countersign.db --before 2026-08-01T00:00:00Z \\
      --witness /mnt/evidence/witnessed.jsonl --witness-key witness.pem --export ledger-to-august.jsonl
  PRUNED: entries 1 to 120311, up to the head of 2026-07-31T23:59:12.000Z that a witness holds.
    export   ledger-to-august.jsonl (SHA-256 5f3c…)
  $ countersign ledger verify --ledger /var/lib/countersign/countersign.db --pruned ledger-to-august.jsonl \\
      --witness /mnt/evidence/witnessed.jsonl --witness-key witness.pem
`

export function pruneCommand(): Command {
  return evidenceOptions(ledgerOptions(new Command('prune'), 'names the ledger'))
    .summary('remove old entries that are exported and whose head somebody else holds')
    .description(
      'Removes the entries up to a head that a witness or an anchor holds, when they are exported. What is left still verifies, and says what was removed, when and by whom. Nothing goes that somebody counts on: tokens and assertions that live, signatures that are not proved, attempts that are under way, entries that were not sent to where they are exported.',
    )
    .option('--before <time>', 'heads that were signed earlier (ISO 8601 with a zone)', parseTime)
    .option('--up-to <sequence>', 'no entry behind this one', parseSequence)
    .option('--export <file>', 'a new file, for what is removed: written and synced before')
    .option('--without-export', 'nobody will be able to read what is removed')
    .addHelpText('after', pruneExample + passwordNote)
    .action(async (options: PruneOptions, command: Command) => {
      try {
        await prune(options)
      } catch (error) {
        command.error(`ledger prune: ${isExpected(error) ? error.message : inspect(error)}`)
      }
    })
}

const isExpected = (error: unknown): error is Error =>
  isExpectedOfLedger(error) ||
  (error instanceof Error && ('syscall' in error || sqliteCode(error) !== undefined))

async function prune(options: PruneOptions): Promise<void> {
  const { before, upTo, export: file, withoutExport } = options
  if (before === undefined && upTo === undefined) {
    throw new CommandError('say how far: --before, --up-to, or both')
  }
  if ((file === undefined) !== (withoutExport === true)) {
    throw new CommandError('name a file with --export, or say --without-export')
  }
  const evidence = await readEvidence(options)
  const named = await ledgerNamedBy(options)
  const { source, kept } = named
  refuseMoved(kept)
  const verdict = await soundOf(source, evidence)
  const found = await lookThrough(source, verdict, evidence, {
    ...options,
    exportedUpTo: await exportedUpToOf(named),
  })
  const taken = await takeOut(source, found, file)
  const cut = cutFrom(verdict, found, taken)
  await pruneThere(kept, cut)
  console.log(
    `PRUNED: entries ${cut.from} to ${cut.sequence}, up to the head of ${isoTimeFrom(found.head.statement.atMs)} that ${cut.heldBy === 'witness' ? 'a witness' : 'an anchor'} holds.`,
  )
  if (file !== undefined) console.log(`  export   ${file} (SHA-256 ${cut.exportSha256 ?? ''})`)
}

/** Before anything is exported. */
function refuseMoved(kept: KeptLedger): void {
  if (kept.in !== 'file') return
  const mark = moveMarkOf(kept.file)
  if (mark !== undefined) {
    throw new CommandError(`nothing was removed: ${moveText(kept.file, mark)}`)
  }
}

/** Nothing is removed from a ledger of which something is not known to be what was written. */
async function soundOf(source: LedgerSource, evidence: Evidence): Promise<LedgerVerdict> {
  const verdict = await verifyLedger(source.pages(), evidence)
  if (verdict.verdict !== 'sound') {
    throw new CommandError(`nothing was removed:\n${verdictLines(source.name, verdict).join('\n')}`)
  }
  if (verdict.provenUpTo !== undefined) return verdict
  throw new CommandError(
    'nothing was removed: nobody else holds a head of this ledger (--witness, --anchor)',
  )
}

async function lookThrough(
  source: LedgerSource,
  verdict: LedgerVerdict,
  evidence: Evidence,
  {
    before = Number.MAX_SAFE_INTEGER,
    upTo = Number.MAX_SAFE_INTEGER,
    exportedUpTo,
  }: Pick<PruneOptions, 'before' | 'upTo'> & { readonly exportedUpTo: number | undefined },
): Promise<HeldHead> {
  const needed = new StillNeeded(systemClock.nowMs())
  for await (const page of source.pages()) for (const row of page) needed.take(row)
  const first = needed.first()
  const limit = Math.min(
    upTo,
    verdict.provenUpTo ?? 0,
    (first?.sequence ?? Number.MAX_SAFE_INTEGER) - 1,
    exportedUpTo ?? Number.MAX_SAFE_INTEGER,
  )
  const held = newestHeldHead(evidence, {
    ledger: verdict.ledger ?? '',
    behind: verdict.begins?.behind ?? 0,
    upTo: limit,
    beforeMs: before,
  })
  if (held !== undefined) return held
  throw new CommandError(
    `nothing was removed: no head that somebody else holds is as old as that${whyNot(first, exportedUpTo)}`,
  )
}

const whyNot = (first: Need | undefined, exportedUpTo: number | undefined) =>
  [
    ...(first === undefined ? [] : [`; entry ${first.sequence} stays: ${needs[first.because]}`]),
    ...(exportedUpTo === undefined
      ? []
      : [`; entries behind ${exportedUpTo} stay until they are sent to where they are exported`]),
  ].join('')

const needs: Readonly<Record<NeedReason, string>> = {
  'attempt-under-way': 'its attempt may still be under way',
  'signature-not-proved': 'its signature is not proved yet',
  'token-lives': 'its token lives',
  'assertion-lives': 'its assertion lives, or what may have been bought with it',
}

interface TakenOut {
  readonly carried: CarriedKeys
  readonly exportSha256?: string
}

/** Reads what will go, and writes it where it is to be kept. */
async function takeOut(
  source: LedgerSource,
  { head }: HeldHead,
  file: string | undefined,
): Promise<TakenOut> {
  const { sequence } = head.statement
  const carried = new CarriedKeys()
  const out = file === undefined ? undefined : createExport(file)
  try {
    reading: for await (const page of source.pages()) {
      for (const row of page) {
        if (row.sequence > sequence) break reading
        carried.take(row)
        out?.write(exportedLine(row))
      }
    }
    return { carried, ...(out === undefined ? {} : { exportSha256: out.finish() }) }
  } finally {
    out?.close()
  }
}

/** On the disk when it is finished, under its name; an older file of that name is evidence, and stays. */
function createExport(file: string) {
  const handle = openSync(file, 'wx', 0o640)
  return {
    write: (text: string) => {
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at)
    },
    finish: () => {
      fsyncSync(handle)
      const folder = openSync(dirname(file), 'r')
      try {
        fsyncSync(folder)
      } finally {
        closeSync(folder)
      }
      // As it can be read, and not as it was meant.
      return hash('sha256', readFileSync(file), 'base64url')
    },
    close: () => {
      closeSync(handle)
    },
  }
}

/** @throws CommandError when those who read what is left could not check the head that it begins with. */
function cutFrom(
  { begins }: LedgerVerdict,
  { head, heldBy }: HeldHead,
  { carried, exportSha256 }: TakenOut,
): Cut {
  const keys = createHeadKeys([])
  for (const key of carried.headKeys) keys.record({ kind: 'head.key-loaded', ...key })
  const { ledger, sequence, hash: hashThere, atMs } = head.statement
  if (!keys.check(head).ok) {
    throw new CommandError(
      `nothing was removed: the key of the head for entry ${sequence} is not on record before it; name an entry further on`,
    )
  }
  return {
    kind: 'ledger.cut',
    atMs: systemClock.nowMs(),
    ledger,
    from: (begins?.behind ?? 0) + 1,
    sequence,
    hash: hashThere,
    head: head.compact,
    heldBy,
    by: `${userInfo().username}@${hostname()}`,
    ...(exportSha256 === undefined ? {} : { exportSha256 }),
    headKeys: carried.headKeys,
    certificates: carried.certificatesAt(atMs),
  }
}

/** Undefined where entries are sent nowhere, as far as can be known here. */
async function exportedUpToOf({ kept, config }: NamedLedger): Promise<number | undefined> {
  const destination = config?.export && nameOfStream(config.export.logAnalytics)
  const exportedUpTo = (await exportedUpToIn(kept, destination))?.sequence
  // What was never sent there is to be sent yet, whatever another place was told.
  if (destination !== undefined) return exportedUpTo ?? 0
  if (exportedUpTo === undefined && config === undefined) {
    console.error(
      'ledger prune: without --config, nothing is kept that is still to be sent where entries are exported for the first time',
    )
  }
  return exportedUpTo
}

async function exportedUpToIn(
  kept: KeptLedger,
  destination: string | undefined,
): Promise<ExportedUpTo | undefined> {
  if (kept.in === 'file') return readExportedUpTo(`${kept.file}-exported`, destination)
  const { readExportedUpTo: inDatabase } = await import('../ledger/postgres-exported-up-to.ts')
  return inDatabase(kept.ledger, destination)
}

async function pruneThere(kept: KeptLedger, cut: Cut): Promise<void> {
  if (kept.in === 'file') {
    const { pruneLedgerFile } = await import('../ledger/prune-file.ts')
    pruneLedgerFile(kept.file, cut)
    return
  }
  const { prunePostgresLedger } = await import('../ledger/prune-postgres.ts')
  await prunePostgresLedger(kept.ledger, cut)
}

function parseTime(text: string): number {
  const timeMs = parseIsoTime(text)
  if (timeMs !== undefined) return timeMs
  throw new InvalidArgumentError('It is not such as 2026-11-22T04:56:16Z.')
}

function parseSequence(text: string): number {
  const sequence = Number(text)
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(sequence)) return sequence
  throw new InvalidArgumentError('It is not the number of an entry.')
}
