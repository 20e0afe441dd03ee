import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type PublicService, startPublicService } from '../support/public-service.ts'
import { writeAgentFile } from '../support/test-agent.ts'
import { cast } from '../support/test-service.ts'

/**
 * Microsoft's client for workload identity, started by `countersign agent` with nothing but its environment:
 * the file has the workload's own token, and the service is the authority.
 */

let tls: PublicService
let folder: string

beforeAll(async () => {
  tls = await startPublicService()
})
afterAll(() => tls.stop())
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-agent-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const program = `
  import { WorkloadIdentityCredential } from '@azure/identity'
  try {
    const credential = new WorkloadIdentityCredential({ disableInstanceDiscovery: true })
    console.log((await credential.getToken(${JSON.stringify(cast.orders)})).token)
  } catch (error) {
    console.log(error.message)
    process.exitCode = 4
  }
`

async function runBesideAgent(ownToken: string, clientId: string = cast.eventsClientId) {
  const config = writeAgentFile(
    folder,
    {
      service: { url: tls.publicUrl, caFile: tls.caFile },
      identity: { kind: 'token-file', file: './own-token' },
      shapes: { tokenFile: { file: './identity-token', tenant: cast.fabrikam, clientId } },
    },
    ownToken,
  )
  const closedNetwork = resolve('test/support/closed-network.ts')
  const node = [process.execPath, '--import', closedNetwork, '--input-type=module', '--eval']
  const launched = [resolve('bin/countersign.js'), 'agent', '--config', config, '--']
  const child = spawn(process.execPath, [...launched, ...node, program], {
    // What would lead it elsewhere is not passed on to it.
    env: {
      PATH: process.env['PATH'],
      NODE_EXTRA_CA_CERTS: tls.caFile,
      AZURE_AUTHORITY_HOST: 'https://127.0.0.1:9',
      AZURE_CLIENT_ID: cast.deployClientId,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ])
  return { code, stdout, stderr }
}

test('WorkloadIdentityCredential gets a token from the service', async () => {
  const ownToken = await tls.callerToken()
  const { code, stdout, stderr } = await runBesideAgent(ownToken)
  expect(code, stdout + stderr).toBe(0)
  expect(decodeJwt(stdout.trim())).toMatchObject({
    aud: 'https://orders.example',
    tid: cast.fabrikam,
    appid: cast.eventsClientId,
  })
  expect(stderr).not.toContain(ownToken)
  expect(readdirSync(folder).toSorted()).toEqual(['agent.yaml', 'own-token'])
}, 120_000)

test("WorkloadIdentityCredential is told that the workload's own token has expired", async () => {
  const { code, stdout } = await runBesideAgent(await tls.callerToken({ wrong: 'expired' }))
  expect([code, stdout]).toEqual([4, expect.stringContaining('AADSTS700024')])
}, 120_000)

test('WorkloadIdentityCredential gets nothing as another application than its grant says', async () => {
  const { code, stdout } = await runBesideAgent(await tls.callerToken(), cast.deployClientId)
  expect([code, stdout]).toEqual([4, expect.stringMatching(/AADSTS700213.*Trace ID/s)])
}, 120_000)
