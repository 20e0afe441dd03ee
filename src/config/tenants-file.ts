import { parseTenantId, type TenantId } from '../base/ids.ts'
import { printable } from '../base/printable.ts'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'

/**
 * One tenant GUID a line; `#` begins a comment, empty lines say nothing. What is wrong goes to
 * `problems`, and the rest is returned.
 */
export function parseTenantsFile(
  { file, text }: { readonly file: string; readonly text: string },
  problems: ConfigurationProblem[],
): readonly TenantId[] {
  const report = (line: number, rule: string, message: string) => {
    problems.push({ file, line, rule: `tenants-file.${rule}`, message, severity: 'error' })
  }
  const entries = text.split(/\r?\n/).flatMap((written, index) => {
    const entry = written.replace(/#.*/, '').trim()
    return entry === '' ? [] : [{ entry, line: index + 1 }]
  })
  if (entries.length === 0) report(1, 'empty', 'The file names no tenant: add at least one GUID.')
  return entries.flatMap(({ entry, line }) => {
    const tenant = parseTenantId(entry)
    if (tenant !== undefined) return [tenant]
    const shown = printable(entry, shownLengthMax)
    report(line, 'wrong-value', `A line must be the GUID of a tenant, and not "${shown}".`)
    return []
  })
}

const shownLengthMax = 40
