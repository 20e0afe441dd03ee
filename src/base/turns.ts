/** One act after another, in the order in which they were asked for; one that fails keeps nobody waiting. */
export type Turns = <T>(act: () => Promise<T>) => Promise<T>

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  return (act) => {
    const turn = last.catch(() => undefined).then(act)
    last = turn
    return turn
  }
}
