import type { Finding } from '../../../src/reconcile/finding.ts'

/** What a finding is about, as stories name it. */
export function nameOf(finding: Finding): string {
  if (finding.kind === 'sign.unproved') {
    return `${finding.kind}(${finding.because}) ${finding.vaultRequestId}`
  }
  if ('record' in finding) return `${finding.kind} ${finding.record.correlationId}`
  if ('signIn' in finding) return `${finding.kind} ${finding.signIn.id}`
  if ('audit' in finding) return `${finding.kind} ${finding.audit.id}`
  if ('vaultRequestId' in finding) return `${finding.kind} ${finding.vaultRequestId}`
  if ('vault' in finding) return `${finding.kind} ${finding.vault}`
  return `${finding.kind} chain`
}

interface Cell {
  found: number
  missed: number
  invented: number
}

/** By kind, what was found of what there is, what was missed, and what there never was: names are `kind id`. */
export class ConfusionMatrix {
  readonly #cells = new Map<string, Cell>()

  /** @param expected Each once. */
  take(found: readonly string[], expected: ReadonlySet<string>): Mistakes {
    const missed = [...expected].filter((name) => !found.includes(name))
    const invented = inventedIn(found, expected)
    for (const name of expected) this.#cellOf(name)[found.includes(name) ? 'found' : 'missed'] += 1
    for (const name of invented) this.#cellOf(name).invented += 1
    return { missed, invented }
  }

  get kinds(): readonly string[] {
    return [...this.#cells.keys()]
  }

  /** Into the report of the tests. */
  print(title: string): void {
    const rows = [...this.#cells]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([kind, cell]) => ({ kind, ...cell }))
    process.stdout.write(`${title}\n${rows.map((row) => JSON.stringify(row)).join('\n')}\n`)
  }

  #cellOf(name: string): Cell {
    const kind = name.split(' ')[0] ?? ''
    const cell = this.#cells.get(kind) ?? { found: 0, missed: 0, invented: 0 }
    this.#cells.set(kind, cell)
    return cell
  }
}

export interface Mistakes {
  readonly missed: readonly string[]
  readonly invented: readonly string[]
}

/** What was not expected, or was found once more than expected. */
function inventedIn(found: readonly string[], expected: ReadonlySet<string>): readonly string[] {
  const left = new Set(expected)
  return found.filter((name) => !left.delete(name))
}
