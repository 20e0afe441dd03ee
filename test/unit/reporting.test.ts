import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { createReporting, type Reporting } from '../../src/reporting.ts'
import { type FixedClock, fixedClock } from '../support/fixed-clock.ts'
import { createReconcileFiles, type ReconcileFiles } from '../support/reconcile-files.ts'
import {
  begun,
  lastRecordLine,
  loaded,
  made,
  minuteMs,
  recordLine,
  withProofs,
} from '../support/signed-traffic.ts'

let files: ReconcileFiles
let folder: string
let clock: FixedClock
/** Behind a reload; undefined before there was one. */
let inForce: Config | undefined
const open: Reporting[] = []
beforeEach(async () => {
  files = await createReconcileFiles(withProofs([loaded, begun(0), made(0)]))
  folder = mkdtempSync(join(tmpdir(), 'countersign-reporting-'))
  clock = fixedClock(1_795_752_000)
  inForce = undefined
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
  files.remove()
  rmSync(folder, { recursive: true })
})

interface Named {
  readonly anchors?: readonly { readonly file: string }[]
  readonly vaultLog?: string
  readonly signInLog?: string
}

function reportingOf(file: string, named: Named = {}, logsMs = 60_000): Reporting {
  const config = configOf(file, named)
  const reporting = createReporting({
    config,
    inForce: () => inForce ?? config,
    clock,
    signOutPath: '/audit/sign-out',
    identityClientId: undefined,
    logsMs,
  })
  open.push(reporting)
  return reporting
}

/** Of a configuration, all that the page is made of. */
const configOf = (file: string, { anchors = [], vaultLog, signInLog }: Named): Config => {
  const config = {
    ledger: { kind: 'sqlite', file },
    heads: { anchors },
    trust: { caFiles: [] },
    certificates: [],
    applications: [],
    expect: { principals: [], addresses: [], also: [] },
    reconcile: {
      sources: [
        ...(vaultLog === undefined ? [] : [{ kind: 'vault-log', path: vaultLog }]),
        ...(signInLog === undefined ? [] : [{ kind: 'signin-log', path: signInLog }]),
      ],
      graceMs: 30 * minuteMs,
    },
  }
  return config as unknown as Config
}

const failureOf = (page: Promise<unknown>) =>
  page.then(
    () => undefined,
    (error: unknown) => (error as Error).cause,
  )

describe('the page', () => {
  test('is made once for all who ask at once, and for ten seconds', async () => {
    const reporting = reportingOf(files.ledgerFile)
    const [first, second] = await Promise.all([reporting.page(), reporting.page()])
    expect(second).toBe(first)
    clock.advance(9.9)
    expect(await reporting.page()).toBe(first)
    clock.advance(0.2)
    expect(await reporting.page()).not.toBe(first)
  })

  test('that cannot be made is not tried again for as long', async () => {
    const reporting = reportingOf(join(folder, 'none.db'))
    await expect(reporting.page()).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE' })
    const first = await failureOf(reporting.page())
    clock.advance(9.9)
    expect(await failureOf(reporting.page())).toBe(first)
    clock.advance(0.2)
    const second = await failureOf(reporting.page())
    expect(second).toBeInstanceOf(Error)
    expect(second).not.toBe(first)
  })

  test('is shown where an anchor cannot be read, and says so', async () => {
    const file = join(folder, 'heads.jsonl')
    const page = await reportingOf(files.ledgerFile, { anchors: [{ file }] }).page()
    expect(page.html).toContain(`${file} (anchor cannot be read)`)
    expect((await reportingOf(files.ledgerFile).page()).html).not.toContain('cannot be read')
  })

  test('holds the ledger to the logs that are configured, and says whom it does not know', async () => {
    const rogue = recordLine(5)
    const vaultLog = files.write('log.json', [recordLine(0), rogue, lastRecordLine()].join('\n'))
    const { html } = await reportingOf(files.ledgerFile, { vaultLog }).page()
    expect(html).toContain('sign.unexplained')
    expect(html).not.toContain('no log of a vault was looked at')
    const reporting = reportingOf(files.ledgerFile)
    expect((await reporting.page()).html).not.toContain('sign.unexplained')
    inForce = configOf(files.ledgerFile, { vaultLog })
    clock.advance(11)
    expect((await reporting.page()).html).toContain('sign.unexplained')
  })

  test('is shown where such a log cannot be read, and says so', async () => {
    const vaultLog = join(folder, 'away')
    const { html } = await reportingOf(files.ledgerFile, { vaultLog }).page()
    expect(html).toContain(`there is no ${vaultLog}`)
    expect(html).not.toContain('no log of a vault was looked at')
    expect((await reportingOf(files.ledgerFile).page()).html).toContain(
      'no log of a vault was looked at',
    )
  })

  test('is shown where a log does not come to its end in time, with what the others have', async () => {
    const log = [recordLine(0), recordLine(5), lastRecordLine()].join('\n')
    const vaultLog = files.write('log.json', log)
    const signInLog = join(folder, 'endless')
    execFileSync('mkfifo', [signInLog])
    // Whoever opens it to read waits for nobody, and then for what never comes.
    const writer = openSync(signInLog, 'r+')
    try {
      const { html } = await reportingOf(files.ledgerFile, { vaultLog, signInLog }, 3_000).page()
      expect(html).toContain('sign.unexplained')
      expect(html).toContain(`${signInLog} was not read to its end`)
    } finally {
      closeSync(writer)
    }
  })

  test('shows what one log has where another cannot be read, and says which', async () => {
    const log = [recordLine(0), recordLine(5), lastRecordLine()].join('\n')
    const vaultLog = files.write('log.json', log)
    const signInLog = join(folder, 'away')
    const { html } = await reportingOf(files.ledgerFile, { vaultLog, signInLog }).page()
    expect(html).toContain('sign.unexplained')
    expect(html).toContain(`there is no ${signInLog}`)
  })
})
