import { DatabaseAccessError } from './database-access-error.ts'

/** Each is a few hundred bytes; more than a fleet's busiest replica waits for at once. */
const waitingMax = 50_000

/**
 * Asks for all that waits at one moment together: while one batch is under way the next one gathers.
 *
 * @param run Answers each of the items, in their order.
 * @returns Throws whatever `run` throws, for each of the batch; DatabaseAccessError when too many wait.
 */
export function createBatches<Item, Answer>(
  itemsMax: number,
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
): (item: Item) => Promise<Answer> {
  interface Asked extends PromiseWithResolvers<Answer> {
    readonly item: Item
  }
  let waiting: Asked[] = []
  let isBusy = false

  const runOne = async (batch: readonly Asked[]) => {
    try {
      const answers = await run(batch.map(({ item }) => item))
      if (answers.length !== batch.length) throw new TypeError('an answer for each of a batch')
      answers.forEach((answer, index) => batch[index]?.resolve(answer))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
  const runAll = async () => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, itemsMax)
      waiting = waiting.slice(itemsMax)
      await runOne(batch)
    }
    isBusy = false
  }

  return (item) => {
    if (waiting.length >= waitingMax) {
      return Promise.reject(new DatabaseAccessError('DATABASE_UNREACHABLE'))
    }
    const asked: Asked = { item, ...Promise.withResolvers<Answer>() }
    waiting.push(asked)
    if (!isBusy) {
      isBusy = true
      // Not at once: all that this turn of the event loop asks for is one batch.
      setImmediate(() => void runAll())
    }
    return asked.promise
  }
}
