import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'

/** Opens a workshop, starts an emulator in it, says where and which, and then does nothing. */
const abandoning = `
  import { writeFileSync } from 'node:fs'
  import { join } from 'node:path'
  import { openWorkshop } from '${import.meta.dirname}/../support/torture/workshop.ts'
  const workshop = openWorkshop()
  const world = join(workshop.folder, 'world.yaml')
  writeFileSync(world, 'tenants: [{ name: contoso, id: c0c0c0c0-0000-4000-8000-000000000001 }]')
  const program = workshop.start(['emulate', '--world', world, '--state', workshop.folder])
  await program.firstLine((line) => line === 'ready')
  console.log(workshop.folder, program.processId)
  setInterval(() => undefined, 1000)
`

test('leaves no process and no folder behind, even when it is killed', async () => {
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', abandoning], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(holder.stdout, 'data')) as [Buffer]
  const [folder = '', processId = ''] = line.toString().trim().split(' ')
  expect([existsSync(folder), isRunning(Number(processId))]).toEqual([true, true])

  holder.kill('SIGKILL')
  await until(() => !existsSync(folder) && !isRunning(Number(processId)))
})

function isRunning(processId: number): boolean {
  try {
    return process.kill(processId, 0)
  } catch {
    return false
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(20)
}
