/** The one of `names` that a slip of at most two letters turned into `written`, if there is one. */
export function nearestName(written: string, names: readonly string[]): string | undefined {
  const [nearest] = names
    .filter((name) => Math.abs(name.length - written.length) <= slipsMax)
    .map((name) => ({ name, slips: slipsBetween(written.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, slips }) => slips <= slipsMax && slips < name.length / 2)
    .toSorted((a, b) => a.slips - b.slips)
  return nearest?.name
}

const slipsMax = 2

/** Levenshtein distance: letters added, left out or exchanged. */
function slipsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [index, letter] of Array.from(a).entries()) {
    const next = [index + 1]
    for (const [column, other] of Array.from(b).entries()) {
      const exchanged = (row[column] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(exchanged, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
