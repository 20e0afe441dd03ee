import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import tls from 'node:tls'
import { z } from 'zod'
import type { EmulatorEndpoints } from '../../emulator/emulator.ts'
import { startVerb } from './child-process.ts'

/** The names and numbers of the emulator's default world that the demo plays with. */
export const cast = {
  fabrikam: 'fab00000-0000-4000-8000-000000000002',
  northwind: '0a0a0a0a-0000-4000-8000-000000000003',
  eventsClientId: '11111111-0000-4000-8000-000000000001',
  deployClientId: '22222222-0000-4000-8000-000000000002',
  publicUrl: 'https://countersign.contoso.example',
  ordersScope: 'https://orders.example/.default',
  eventHubsScope: 'https://eventhubs.azure.net/.default',
} as const

/** A small Azure on loopback, and what one can do in it besides being served. */
export interface DemoCloud {
  readonly endpoints: EmulatorEndpoints
  /** The workload's own identity: a token of its platform for an audience. */
  workloadToken(principal: string, audience: string): Promise<string>
  /** Starts a CI job; its request URL and token are what a runner puts into the environment. */
  startJob(claims: object): Promise<{ readonly requestUrl: string; readonly requestToken: string }>
  /** Signs with a vault key as some principal, past the service. */
  signDirectly(principal: string, vault: string, key: string): Promise<void>
  stop(): Promise<void>
}

/** Starts the emulator in a process of its own, and trusts it in this one. */
export async function startCloud(folder: string): Promise<DemoCloud> {
  const state = join(folder, 'cloud')
  const running = await startVerb(['emulate', '--state', state], (line) => line === 'ready')
  // The program's own word: it is of the same version.
  const endpoints = JSON.parse(
    readFileSync(join(state, 'emulator.json'), 'utf8'),
  ) as EmulatorEndpoints
  const ca = readFileSync(endpoints.caFile, 'utf8')
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ca])

  const control = async <T>(path: string, body: object, form: z.ZodType<T>): Promise<T> => {
    const { origin, token } = endpoints.control
    const asking = fetch(origin + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    })
    return form.parse(await answerOf(asking))
  }

  return {
    endpoints,
    workloadToken: async (principal, audience) => {
      const identity = endpoints.managedIdentities[principal]
      if (identity === undefined) throw new Error(`the cloud has no identity ${principal}`)
      const query = new URLSearchParams({ 'api-version': '2019-08-01', resource: audience })
      const asking = fetch(`${identity.endpoint}?${query.toString()}`, {
        headers: { 'x-identity-header': identity.header },
      })
      return tokenForm.parse(await answerOf(asking)).access_token
    },
    startJob: (claims) => control('/issuers/github/jobs', { claims }, jobForm),
    signDirectly: async (principal, vault, key) => {
      const { access_token } = await control(
        `/principals/${principal}/access-token`,
        { resource: 'https://vault.azure.net' },
        tokenForm,
      )
      const digest = Buffer.alloc(32, 7).toString('base64url')
      await answerOf(
        fetch(`${endpoints.vaults[vault] ?? ''}/keys/${key}/sign?api-version=2025-07-01`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${access_token}`,
            'content-type': 'application/json',
            'user-agent': 'nightly-build/2.1',
          },
          body: JSON.stringify({ alg: 'PS256', value: digest }),
        }),
      )
    },
    stop: () => running.stop(),
  }
}

const tokenForm = z.object({ access_token: z.string() })
const jobForm = z.object({ requestUrl: z.string(), requestToken: z.string() })

async function answerOf(asking: Promise<Response>): Promise<unknown> {
  const response = await asking
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text}`)
  return text === '' ? undefined : (JSON.parse(text) as unknown)
}
