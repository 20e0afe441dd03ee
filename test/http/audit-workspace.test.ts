import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import {
  defaultGrants,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { workspaceId } from '../support/workspace.ts'

/** The page for auditors, whose thread reads a workspace of Log Analytics as the service's own identity. */

let emulator: TestEmulator
let service: TestService
beforeAll(async () => {
  emulator = await startServiceEmulator()
  service = await startTestService({
    emulator,
    configuration: (file) => ({
      ...file,
      trust: { caFiles: [emulator.endpoints.caFile] },
      reconcile: {
        sources: [{ vaultLog: { workspace: workspaceId, endpoint: emulator.endpoints.logsQuery } }],
        graceMinutes: 0,
      },
    }),
    grants: [
      ...defaultGrants,
      {
        grant: 'auditors',
        caller: { issuer: 'gitlab', claims: { project_id: '20' } },
        may: [{ audit: 'read' }],
      },
    ],
  })
})
afterAll(async () => {
  await service.stop()
  await emulator.stop()
})

async function page(): Promise<string> {
  // Everybody is shown the same for a while.
  emulator.clock.shift(60)
  const answer = await service.ask('GET /audit', { token: await service.callerToken('gitlab') })
  expect(answer.status).toBe(200)
  return answer.text
}

test('tells of a signature by somebody else, and says when it may no longer look', async () => {
  const token = await service.callerToken('fabrikam-orders')
  expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
  const before = await page()
  expect(before).toContain(`AZKVAuditLogs of workspace ${workspaceId}`)
  expect(before).not.toContain('sign.unexplained')
  await emulator.ask('contoso-hsm', 'POST /keys/partner-signing/sign?api-version=2025-07-01', {
    token: await emulator.token('build-agent'),
    body: { alg: 'PS256', value: Buffer.alloc(32, 1).toString('base64url') },
    headers: { 'content-type': 'application/json' },
  })
  expect(await page()).toContain('sign.unexplained')
  emulator.logsQuery.letRead(workspaceId, [])
  const after = await page()
  expect(after).toContain('no right to read AZKVAuditLogs')
  expect(after).not.toContain('sign.unexplained')
  expect(after).not.toContain('Accounted for')
})
