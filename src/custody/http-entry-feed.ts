import type { Dispatcher } from 'undici'
import { withDeadline } from '../base/deadline.ts'
import type { Secret } from '../base/secret.ts'
import { AnswerTooLong, type WholeAnswer, wholeAnswer } from '../base/whole-answer.ts'
import type { Row } from '../ledger/chain.ts'
import { rowFromExportedLine } from '../ledger/exported-ledger.ts'
import { type EntryFeed, FeedError, type FeedErrorCode } from './entry-feed.ts'

const timeoutMs = 30_000
/** A page is of a megabyte, and of one entry at least. */
const answerBytesMax = 4 * 1024 * 1024
const pageRows = 1000

/**
 * `GET /v1/entries` of the service, as the lines of `ledger export`.
 *
 * @param bearer Who asks, as it is now; undefined where the connection proves that.
 */
export const feedOfService = (
  origin: string,
  connections: Dispatcher,
  bearer: () => Promise<Secret<string> | undefined>,
): EntryFeed => ({
  name: origin,
  rowsBehind: async (sequence) => {
    const own = await ownToken(bearer)
    const order = {
      origin,
      path: `/v1/entries?after=${sequence}&limit=${pageRows}`,
      method: 'GET',
      headers: {
        accept: 'application/jsonl',
        ...(own === undefined ? {} : { authorization: `Bearer ${own.reveal()}` }),
      },
    } as const
    const { status, body } = await answerTo(order, connections)
    if (status !== 200) throw new FeedError(codeFrom(status))
    return rowsIn(body, sequence)
  },
})

async function ownToken(
  bearer: () => Promise<Secret<string> | undefined>,
): Promise<Secret<string> | undefined> {
  try {
    return await withDeadline(timeoutMs, bearer)
  } catch (cause) {
    throw new FeedError('FEED_IDENTITY', { cause })
  }
}

async function answerTo(
  order: Dispatcher.DispatchOptions,
  connections: Dispatcher,
): Promise<WholeAnswer> {
  try {
    return await withDeadline(timeoutMs, (signal) =>
      wholeAnswer(connections, order, { signal, bytesMax: answerBytesMax }),
    )
  } catch (cause) {
    if (cause instanceof AnswerTooLong) throw new FeedError('FEED_MALFORMED')
    throw new FeedError('FEED_UNREACHABLE', { cause })
  }
}

function codeFrom(status: number): FeedErrorCode {
  // `entries_missing`, of what was asked for: nothing else of this route is a conflict.
  if (status === 409) return 'FEED_ENDS_BEFORE'
  if (status === 429 || status >= 500) return 'FEED_UNREACHABLE'
  return status === 401 || status === 403 ? 'FEED_REFUSED' : 'FEED_MALFORMED'
}

/** As every line of a ledger does; what is not whole behind it, or on the next line, was stored like that. */
const beginning = Buffer.from('{"sequence":')

/** Each line behind what was asked for: what else is in it the chain tells. */
function rowsIn(text: Buffer, behind: number): readonly Row[] {
  const rows: Row[] = []
  const isLedger = text.subarray(0, beginning.length).equals(beginning)
  for (let from = 0; from < text.length;) {
    const to = text.indexOf(0x0a, from)
    const row = rowFromExportedLine(text.subarray(from, to === -1 ? text.length : to))
    const isCutThere = row.isCut === true && row.sequence >= behind
    const isDamaged = isLedger && Number.isNaN(row.sequence)
    if (!(row.sequence > behind) && !isCutThere && !isDamaged) throw new FeedError('FEED_MALFORMED')
    rows.push(row)
    from = to === -1 ? text.length : to + 1
  }
  return rows
}
