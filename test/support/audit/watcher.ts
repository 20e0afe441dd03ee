import type { LedgerSource } from '../../../src/ledger/ledger-source.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { LogError } from '../../../src/reconcile/log-error.ts'
import type { LogSources } from '../../../src/reconcile/log-source.ts'
import type { Accounts } from '../../../src/reconcile/reconcile.ts'
import { afterRound } from '../../../src/reconcile/rounds/after-round.ts'
import { FindingSinkError } from '../../../src/reconcile/rounds/finding-sink.ts'
import { roundStateFile } from '../../../src/reconcile/rounds/round-state-file.ts'
import type { FindingEvent, RoundState } from '../../../src/reconcile/rounds/round-state.ts'
import { runRound } from '../../../src/reconcile/rounds/round.ts'
import { createTelling } from '../../../src/reconcile/rounds/telling.ts'

/** What becomes of whoever keeps watch in a round. */
export type Mishap =
  | 'none'
  | 'killed-before-saving'
  | 'killed-before-telling'
  | 'killed-while-telling'
  | 'nobody-takes-it'

export interface Look {
  /** Rows that are written by then. */
  readonly rows: readonly Row[]
  readonly sources: LogSources
  readonly nowMs: number
  readonly mishap: Mishap
}

const ledger = 'ledger'
const sinkName = 'told'

class Killed extends Error {}

/** Keeps watch with the real state in a real file, and is started again after each time that it is killed. */
export class Watcher {
  readonly ledger = ledger
  /** As they came; those of one id are one. */
  readonly told: FindingEvent[] = []
  readonly #file: string
  readonly #request: Pick<Accounts, 'expect' | 'graceMs' | 'applicationIds' | 'keys'>
  #running: ReturnType<typeof roundStateFile> | undefined

  constructor(
    file: string,
    request: Pick<Accounts, 'expect' | 'graceMs' | 'applicationIds' | 'keys'>,
  ) {
    this.#file = file
    this.#request = request
  }

  /** @returns The state as it was saved, or why the round did not come to its end. */
  async look({ rows, sources, nowMs, mishap }: Look): Promise<RoundState | 'killed' | LogError> {
    const file = this.#running ?? roundStateFile(this.#file)
    const before = await file.load()
    this.#running = file
    try {
      const source = ledgerOf(rows)
      const round = await runRound(before, { ...this.#request, ledger: source, sources, nowMs })
      const next = afterRound(before, round, { ledger, tookMs: 1, tell: [sinkName] })
      if (mishap === 'killed-before-saving') throw new Killed()
      await file.save(next)
      if (mishap === 'killed-before-telling') throw new Killed()
      return await this.#tell(next, nowMs, mishap)
    } catch (error) {
      if (error instanceof LogError) return error
      if (!(error instanceof Killed)) throw error
      this.#running = undefined
      return mishap === 'killed-before-saving' ? 'killed' : roundStateFile(this.#file).load()
    }
  }

  #tell(state: RoundState, nowMs: number, mishap: Mishap): Promise<RoundState> {
    return createTelling({
      sinks: [
        {
          name: sinkName,
          tell: (events) => {
            if (mishap === 'nobody-takes-it') throw new FindingSinkError('nobody is there')
            const known = new Set(this.told.map(({ id }) => id))
            this.told.push(...events.filter(({ id }) => !known.has(id)))
            return Promise.resolve(events.length)
          },
        },
      ],
      save: (next) => {
        if (mishap === 'killed-while-telling') throw new Killed()
        return roundStateFileOf(this.#running).save(next)
      },
      clock: { monotonicMs: () => nowMs },
      random: () => 0,
      failed: () => undefined,
    }).tell(state)
  }
}

function roundStateFileOf(file: ReturnType<typeof roundStateFile> | undefined) {
  if (file === undefined) throw new TypeError('whoever tells is running')
  return file
}

const ledgerOf = (rows: readonly Row[]): LedgerSource => {
  // eslint-disable-next-line @typescript-eslint/require-await -- a ledger may be waited for, this one is here
  async function* pagesAfter(sequence: number) {
    yield rows.slice(sequence)
  }
  return {
    name: ledger,
    pages: () => pagesAfter(0),
    pagesAfter,
    // eslint-disable-next-line @typescript-eslint/require-await -- likewise
    async *pagesBackwards() {
      yield rows.toReversed()
    },
  }
}
