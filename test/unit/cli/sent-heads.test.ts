import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { withSentHeads } from '../../../src/cli/sent-heads.ts'
import type { Config } from '../../../src/config/config.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-sent-heads-'))
  vi.stubEnv('TMPDIR', folder)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

/** What is read of one. */
const config = {
  publicUrl: 'https://countersign.contoso.example',
  cloud: { name: 'public', loopbackVaults: false },
  credential: 'workload-identity',
  heads: {
    workspaces: [
      {
        workspace: 'aaaaaaaa-0000-4000-8000-000000000001',
        table: 'CountersignLedger_CL',
        endpoint: 'https://api.loganalytics.io',
        audience: 'https://api.loganalytics.io',
      },
    ],
  },
} as unknown as Config

test('leaves nothing behind where a workspace cannot be opened', async () => {
  // It says so as soon as it is made, where no cluster has put a token.
  for (const name of ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_FEDERATED_TOKEN_FILE']) {
    vi.stubEnv(name, undefined)
  }
  const act = vi.fn(() => Promise.resolve())
  await expect(withSentHeads(config, act)).rejects.toThrow(
    'WorkloadIdentityCredential: is unavailable',
  )
  expect(act).not.toHaveBeenCalled()
  expect(readdirSync(folder)).toEqual([])
})
