import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import { readEnvironment } from '../config/environment.ts'
import type { AnchoredHead } from '../custody/file-anchor.ts'
import { parseHead } from '../custody/head.ts'
import type { WorkspaceEvidence } from '../custody/ledger-verdict.ts'
import type { LogSource } from '../reconcile/log-source.ts'
import type { SentHead } from '../reconcile/workspace/sent-head.ts'
import { configuredIdentity, openSentHeads } from '../reconciling.ts'

/**
 * Does something with the heads that have come to the workspaces of a configuration. They are read to their end first,
 * some thousands in memory at a time, into files that are gone afterwards.
 *
 * @param config Undefined, or without a workspace among its anchors: nothing is reached.
 * @throws LogError when a workspace cannot be read.
 */
export async function withSentHeads<T>(
  config: Config | undefined,
  act: (workspaces: readonly WorkspaceEvidence[]) => Promise<T>,
): Promise<T> {
  const tables = config?.heads?.workspaces ?? []
  if (config === undefined || tables.length === 0) return act([])
  const identity = configuredIdentity(config, readEnvironment().identityClientId)
  const folder = mkdtempSync(join(tmpdir(), 'countersign-heads-'))
  try {
    const heads = await openSentHeads(tables, identity, systemClock)
    try {
      const workspaces: WorkspaceEvidence[] = []
      for (const [index, source] of heads.sources.entries()) {
        const file = join(folder, `${index}.jsonl`)
        await keepHeads(source, config.publicUrl, file)
        workspaces.push({ name: source.name, file })
      }
      return await act(workspaces)
    } finally {
      await heads.close()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** As an anchor would have them: those of this deployment, in their order but for what came late. */
async function keepHeads(
  source: LogSource<SentHead>,
  deployment: string,
  file: string,
): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    for await (const batch of source.records(-Infinity)) {
      const heads = batch.filter((one) => one.kind === 'sent-head')
      const ours = heads
        .filter((one) => one.deployment === deployment)
        .map(({ head, timeMs }): AnchoredHead => ({ head, anchoredAtMs: timeMs }))
        .toSorted((one, other) => sequenceOf(one) - sequenceOf(other))
      // What is not understood is a line without a head, and counted as one.
      const others = batch.filter((one) => one.kind === 'unread').map(() => ({}))
      await handle.write([...ours, ...others].map((line) => `${JSON.stringify(line)}\n`).join(''))
    }
  } finally {
    await handle.close()
  }
}

/** What the head says itself: the columns beside it are anybody's. */
const sequenceOf = ({ head }: AnchoredHead): number => parseHead(head)?.statement.sequence ?? 0
