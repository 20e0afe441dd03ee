// Ends what its parent leaves behind, however the parent ends. Each line of its input is an order:
// `+PID` watch this process, `-PID` it has ended, `/FOLDER` remove this folder at the end. When the
// input closes the parent is gone: what is still watched is killed, the folders are removed.
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

const processIds = new Set<number>()
const folders = new Set<string>()

for await (const order of createInterface({ input: process.stdin })) {
  if (order.startsWith('+')) processIds.add(Number(order.slice(1)))
  if (order.startsWith('-')) processIds.delete(Number(order.slice(1)))
  if (order.startsWith('/')) folders.add(order)
}
for (const processId of processIds) kill(processId)
for (const folder of folders) {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

function kill(processId: number): void {
  try {
    process.kill(processId, 'SIGKILL')
  } catch (error) {
    // It ended in the same moment.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
