import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../src/emulator/faults.ts'
import { ledgerInFile } from '../../src/ledger/ledger-source.ts'
import type { Finding } from '../../src/reconcile/finding.ts'
import type { Report } from '../../src/reconcile/reconcile.ts'
import { reconcile } from '../support/reconcile-paths.ts'
import { signing, strike } from '../support/faults.ts'
import { deployAsk, startTestService, type TestService } from '../support/test-service.ts'

/** What reconcile makes of the ledger and the vault's log that a real service and its vault have written. */

let service: TestService
let token: string
beforeAll(async () => {
  service = await startTestService()
  token = await service.callerToken('github')
})
afterAll(() => service.stop())

/** Each answer has a signature of its own. */
async function askForAssertion(status: number): Promise<void> {
  const answer = await service.ask('POST /v1/assertion', { token, json: deployAsk })
  expect(answer.status).toBe(status)
}

function reconciled(): Promise<Report> {
  const graceMs = 30 * 60_000
  return reconcile({
    ledger: ledgerInFile(service.ledgerFile),
    vaultLogPaths: [service.emulator.endpoints.vaultLogFolder],
    keys: [],
    // Before any proof is due.
    nowMs: service.clock.nowMs() + graceMs + 60_000,
    graceMs,
  })
}

/** What is found after the act and was not before. */
async function findingsOf(act: () => Promise<void>): Promise<readonly Finding[]> {
  const before = (await reconciled()).findings.map((finding) => JSON.stringify(finding))
  await act()
  const after = (await reconciled()).findings
  return after.filter((finding) => !before.includes(JSON.stringify(finding)))
}

describe('reconciling a service with its vault', () => {
  it('accounts for all of it when nothing goes wrong', async () => {
    await askForAssertion(200)
    await askForAssertion(200)
    expect(await reconciled()).toMatchObject({
      verdict: 'accounted-for',
      ledger: { signaturesMade: 2, signaturesOpen: 0 },
      vaultLog: { signatures: 2, explained: 2, unread: 0 },
    })
  })

  it.each<Fault['kind']>(['throttle', 'server-error', 'drop-before'])(
    'finds nothing after the fault %s, where the ledger knows what the vault did',
    async (kind) => {
      const findings = await findingsOf(async () => {
        strike(service.emulator, { ...signing, kind })
        await askForAssertion(503)
      })
      expect(findings).toEqual([])
    },
  )

  it.each<Fault['kind']>(['server-error-after', 'wrong-signature'])(
    'assumes a signature that the vault made for an answer that could not be used: %s',
    async (kind) => {
      const before = await reconciled()
      const findings = await findingsOf(async () => {
        strike(service.emulator, { ...signing, kind })
        await askForAssertion(503)
      })
      expect(findings.map((finding) => finding.kind)).toEqual(['sign.assumed'])
      const after = await reconciled()
      expect(after.vaultLog.signatures).toBe(before.vaultLog.signatures + 1)
      expect(after.vaultLog.explained).toBe(before.vaultLog.explained)
      expect(after.ledger.signaturesMade).toBe(before.ledger.signaturesMade)
    },
  )

  it('assumes a signature to be ours when the reply was lost after it was made', async () => {
    const findings = await findingsOf(async () => {
      strike(service.emulator, { ...signing, kind: 'drop-after' })
      await askForAssertion(503)
    })
    const begun = service.entries().findLast((entry) => entry.kind === 'signature.begun')
    expect(findings).toMatchObject([
      { kind: 'sign.assumed', signature: begun?.signature, attempt: begun?.attempt },
    ])
  })

  it('names who signed past the service, with what and from where', async () => {
    const { emulator } = service
    const [key = ''] = (await reconciled()).watchedKeys.filter((name) =>
      name.endsWith('/partner-signing'),
    )
    const findings = await findingsOf(async () => {
      const value = createHash('sha256').update('anything').digest('base64url')
      const answer = await emulator.ask(
        'contoso-hsm',
        `POST ${new URL(key).pathname}/sign?api-version=2025-07-01`,
        {
          token: await emulator.token('build-agent'),
          body: { alg: 'PS256', value },
          headers: { 'user-agent': 'nightly-build/2.1', 'content-type': 'application/json' },
        },
      )
      expect(answer.status).toBe(200)
    })
    expect(findings).toMatchObject([
      {
        kind: 'sign.unexplained',
        record: {
          oid: '51000000-0000-4000-8000-000000000002',
          callerIpAddress: '127.0.0.1',
          clientInfo: 'nightly-build/2.1',
        },
      },
    ])
  })
})
