import { parseTenantId, type TenantId } from '../base/ids.ts'
import { printable } from '../base/printable.ts'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'

/**
 * One tenant GUID a line; `#` begins a comment, empty lines say nothing. What is wrong goes to
 * `problems`, and then nothing is returned: a list with holes would be taken for the whole.
 */
export function parseTenantsFile(
  { file, text }: { readonly file: string; readonly text: string },
  problems: ConfigurationProblem[],
): readonly TenantId[] | undefined {
  const report = (line: number, rule: string, message: string) => {
    problems.push({ file, line, rule: `tenants-file.${rule}`, message, severity: 'error' })
  }
  const entries = text.split(/\r?\n/).flatMap((written, index) => {
    const entry = written.replace(/#.*/, '').trim()
    return entry === '' ? [] : [{ entry, line: index + 1, tenant: parseTenantId(entry) }]
  })
  if (entries.length === 0) report(1, 'empty', 'The file names no tenant: add at least one GUID.')
  for (const { entry, line, tenant } of entries) {
    if (tenant !== undefined) continue
    const shown = printable(entry, shownLengthMax)
    report(line, 'wrong-value', `A line must be the GUID of a tenant, and not "${shown}".`)
  }
  const tenants = entries.map(({ tenant }) => tenant).filter((tenant) => tenant !== undefined)
  return tenants.length === entries.length && tenants.length > 0 ? tenants : undefined
}

const shownLengthMax = 40
