import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { aborted, stopSignal } from '../base/stop-signal.ts'
import { startVerb } from './demo/child-process.ts'
import { startCloud } from './demo/cloud.ts'
import { writeConfiguration } from './demo/configuration.ts'
import { pasteLines } from './demo/paste-lines.ts'
import { auditorAct, type Stage, pipelineAct, strangerAct, workloadAct } from './demo/acts.ts'

interface DemoOptions {
  readonly keep: boolean
}

const example = `
Example:
  $ countersign demo --keep

Starts the emulator and the service on loopback; nothing leaves this machine. Exits 0 only if every
act really happened.
`

export function demoCommand(): Command {
  return new Command('demo')
    .description('Starts a small cloud and the service on loopback, and plays what each user gets.')
    .option('--keep', 'leave it running, and print what each user would paste', false)
    .addHelpText('after', example)
    .action(async ({ keep }: DemoOptions, command: Command) => {
      try {
        await play(keep)
      } catch (error) {
        command.error(`demo: ${error instanceof Error ? error.message : String(error)}`)
      }
    })
}

async function play(keep: boolean): Promise<void> {
  const interrupted = aborted(stopSignal())
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'countersign-demo-'))
  cleanup.defer(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  const cloud = await startCloud(folder)
  cleanup.defer(() => cloud.stop())
  const configuration = await writeConfiguration(folder, cloud.endpoints)
  const identity = cloud.endpoints.managedIdentities['countersign']
  if (identity === undefined) throw new Error('the cloud has no identity for the service')
  const service = await startVerb(
    ['serve', '--config', configuration.file],
    (line) => line.includes('"msg":"ready"'),
    { IDENTITY_ENDPOINT: identity.endpoint, IDENTITY_HEADER: identity.header },
  )
  cleanup.defer(() => service.stop())

  const stage: Stage = {
    cloud,
    configuration,
    say: (line) => {
      console.log(line)
    },
  }
  for (const act of [workloadAct, pipelineAct, strangerAct, auditorAct]) await act(stage)
  if (!keep) return
  console.log(pasteLines(stage))
  await interrupted
}
