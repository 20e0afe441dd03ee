// Prints "N passed, N failed" from vitest's JSON report, and fails when the gate failed, when a test
// failed, or when no test ran. Arguments: the report's path and the exit status of the gate.
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'

const reportSchema = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
})

const [file = '', gateStatus = '1'] = process.argv.slice(2)
const report = existsSync(file)
  ? reportSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  : undefined
const passed = report?.numPassedTests ?? 0
// A gate that failed before or beside its tests counts as one failure, so that the line never lies.
const failed = Math.max(report?.numFailedTests ?? 0, gateStatus === '0' && passed > 0 ? 0 : 1)
const skipped = report?.numPendingTests ?? 0
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`)
process.exitCode = failed === 0 ? 0 : 1
