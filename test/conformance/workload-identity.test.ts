import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ModuleRun, runModule } from '../support/module-run.ts'
import { required } from '../support/required.ts'
import { signing, strike } from '../support/faults.ts'
import { cast, defaultGrants } from '../support/test-service.ts'
import { startPublicService, type PublicService } from '../support/public-service.ts'

/** Clients of Entra that we did not write, each in a process of its own, over TLS, against the service. */

let tls: PublicService

beforeAll(async () => {
  const [workload, pipeline] = defaultGrants
  tls = await startPublicService({
    grants: [
      required(workload),
      {
        ...required(pipeline),
        may: [{ application: 'events', tenant: 'any-listed', scopes: [cast.orders] }],
      },
    ],
  })
})
afterAll(() => tls.stop())

/** What an operator sets, with the token in a file as Kubernetes has it. */
async function environmentFor(
  token: Promise<string> = tls.callerToken(),
): Promise<Readonly<Record<string, string>>> {
  const tokenFile = join(tls.service.folder, 'federated-token')
  writeFileSync(tokenFile, `${await token}\n`)
  return {
    AZURE_AUTHORITY_HOST: tls.publicUrl,
    AZURE_TENANT_ID: cast.fabrikam,
    AZURE_CLIENT_ID: cast.eventsClientId,
    AZURE_FEDERATED_TOKEN_FILE: tokenFile,
    NODE_EXTRA_CA_CERTS: tls.caFile,
    SCOPE: cast.orders,
  }
}

/** Prints the token, or what the client says of why there is none. */
const printing = (credential: string) => `
  import * as identity from '@azure/identity'
  import { readFileSync } from 'node:fs'
  const { SCOPE, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE } = process.env
  try {
    const { token } = await (${credential}).getToken(SCOPE)
    console.log(token)
  } catch (error) {
    console.log(error.name + ': ' + error.message)
    process.exitCode = 1
  }
`

function expectToken({ code, stdout, stderr }: ModuleRun): void {
  expect(code, stdout + stderr).toBe(0)
  expect(decodeJwt(stdout.trim())).toMatchObject({
    appid: cast.eventsClientId,
    tid: cast.fabrikam,
    aud: 'https://orders.example',
  })
}

/** `export NAME=…` of these, beside what every client is given. */
const withEnvironment = async (
  more: Readonly<Record<string, string>>,
  token?: Promise<string>,
) => ({
  ...(await environmentFor(token)),
  ...more,
})

const without = (environment: Readonly<Record<string, string>>, ...names: readonly string[]) =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !names.includes(name)))

const workloadIdentity = printing(
  'new identity.WorkloadIdentityCredential({ disableInstanceDiscovery: true })',
)

describe('@azure/identity', () => {
  test('WorkloadIdentityCredential gets a token', async () => {
    expectToken(await runModule(workloadIdentity, await environmentFor()))
  })

  test('and none where the certificate of the service is not trusted', async () => {
    const environment = without(await environmentFor(), 'NODE_EXTRA_CA_CERTS')
    const before = tls.service.entries().length
    const { code } = await runModule(workloadIdentity, environment)

    expect(code).toBe(1)
    expect(tls.service.entries()).toHaveLength(before)
  })

  test('ClientAssertionCredential gets a token', async () => {
    const credential = `new identity.ClientAssertionCredential(
      AZURE_TENANT_ID,
      AZURE_CLIENT_ID,
      () => Promise.resolve(readFileSync(AZURE_FEDERATED_TOKEN_FILE, 'utf8').trim()),
      { disableInstanceDiscovery: true },
    )`
    expectToken(await runModule(printing(credential), await environmentFor()))
  })

  test('DefaultAzureCredential gets a token by its environment alone', async () => {
    const environment = await withEnvironment({
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
    })
    const program = await runModule('examples/azure-sdk/default-credential.mjs', environment)

    expect(program.code, program.stderr).toBe(0)
    expect(JSON.parse(program.stdout)).toMatchObject({
      aud: 'https://orders.example',
      tid: cast.fabrikam,
      app: cast.eventsClientId,
    })
  })

  test('behind the token proxy that AKS has, with the authority of the public cloud', async () => {
    const environment = await withEnvironment({
      AZURE_KUBERNETES_TOKEN_PROXY: tls.publicUrl,
      AZURE_KUBERNETES_CA_FILE: tls.caFile,
    })
    const credential = 'new identity.WorkloadIdentityCredential({ enableAzureProxy: true })'
    const proxied = without(environment, 'AZURE_AUTHORITY_HOST', 'NODE_EXTRA_CA_CERTS')
    expectToken(await runModule(printing(credential), proxied))
  })

  test.each<[string, () => Promise<Readonly<Record<string, string>>>, RegExp]>([
    [
      'a token that has expired',
      () => environmentFor(tls.callerToken({ wrong: 'expired' })),
      /AADSTS700024: Client assertion is not within its valid time range/,
    ],
    [
      'a token for somebody else',
      () => environmentFor(tls.callerToken({ audience: cast.publicUrl })),
      /AADSTS70021: The caller token was not accepted/,
    ],
    [
      'a caller that no grant names',
      () => environmentFor(tls.callerToken({ claims: { ref: 'refs/heads/feature' } })),
      /AADSTS700213: No grant allows this caller/,
    ],
    [
      'an application that is not here',
      () => withEnvironment({ AZURE_CLIENT_ID: '99999999-0000-4000-8000-000000000009' }),
      /AADSTS700016: No application of this service has this client_id/,
    ],
    [
      'a scope that is none',
      () => withEnvironment({ SCOPE: 'https://orders.example/Orders.Read' }),
      /AADSTS70011: The scope must be one resource/,
    ],
  ])('says why there is none for %s', async (_, environment, words) => {
    const { code, stdout } = await runModule(workloadIdentity, await environment())

    expect(stdout).toMatch(words)
    expect(stdout).toMatch(/Trace ID: [0-9a-f-]{36}/)
    expect(code).toBe(1)
  })

  test.each<[string, () => Promise<Readonly<Record<string, string>>>, RegExp]>([
    [
      'whose file is half-written',
      async () => environmentFor(tls.callerToken().then((token) => token.slice(0, 60))),
      /AADSTS\d+: The caller token was not accepted/,
    ],
    [
      'whose file is gone',
      async () => {
        const environment = await environmentFor()
        rmSync(environment['AZURE_FEDERATED_TOKEN_FILE'] ?? '')
        return environment
      },
      /ENOENT/,
    ],
    [
      'while the service is away',
      () => withEnvironment({ AZURE_AUTHORITY_HOST: 'https://127.0.0.1:9' }),
      /endpoints_resolution_error/,
    ],
  ])('gives none %s, and says what it was', async (_, environment, words) => {
    const { code, stdout } = await runModule(workloadIdentity, await environment())

    expect(stdout).toMatch(words)
    expect(code).toBe(1)
  })

  test('says that it is for now while the vault fails', async () => {
    strike(tls.service.emulator, { ...signing, kind: 'server-error', times: 100 })
    // A tenant whose token nobody has got yet.
    const environment = await withEnvironment({ AZURE_TENANT_ID: cast.northwind })
    const { code, stdout } = await runModule(workloadIdentity, environment)
    tls.service.emulator.faults.clear()

    expect(stdout).toMatch(/AADSTS90033|temporarily_unavailable/)
    expect(code).toBe(1)
  }, 120_000)
})

describe('@azure/msal-node', () => {
  const program = `
    import { readFileSync } from 'node:fs'
    import { ConfidentialClientApplication } from '@azure/msal-node'
    const { AZURE_AUTHORITY_HOST, SCOPE, AZURE_TENANT_ID, AZURE_CLIENT_ID } = process.env
    const client = new ConfidentialClientApplication({
      auth: {
        clientId: AZURE_CLIENT_ID,
        authority: AZURE_AUTHORITY_HOST + '/' + AZURE_TENANT_ID,
        knownAuthorities: [new URL(AZURE_AUTHORITY_HOST).host],
        clientAssertion: () =>
          Promise.resolve(readFileSync(process.env.AZURE_FEDERATED_TOKEN_FILE, 'utf8').trim()),
      },
    })
    try {
      const { accessToken } = await client.acquireTokenByClientCredential({ scopes: [SCOPE] })
      console.log(accessToken)
    } catch ({ errorCode, errorMessage, errorNo, correlationId }) {
      console.log(JSON.stringify({ errorCode, errorMessage, errorNo, correlationId }))
      process.exitCode = 1
    }
  `

  test('gets a token with the token of its workload for an assertion', async () => {
    expectToken(await runModule(program, await environmentFor()))
  })

  test('tells error, number, and its own correlation id', async () => {
    const expired = tls.callerToken({ wrong: 'expired' })
    const { stdout } = await runModule(program, await environmentFor(expired))

    const told = JSON.parse(stdout) as { correlationId: string; errorMessage: string }
    expect(told).toMatchObject({
      errorCode: 'invalid_client',
      errorNo: 700024,
      correlationId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    })
    expect(told.errorMessage).toContain(`Correlation ID: ${told.correlationId}`)
  })
})

describe("the Logstash output plugin for Sentinel's request", () => {
  // What `logAnalyticsManagedIdentityTokenProvider.rb` sends, in its order.
  const replay = async (scope: string) => {
    const { AZURE_CLIENT_ID = '', AZURE_TENANT_ID = '' } = await environmentFor()
    const form = {
      grant_type: 'client_credentials',
      client_id: AZURE_CLIENT_ID,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await tls.callerToken(),
      scope,
    }
    return tls.service.ask(`POST /${AZURE_TENANT_ID}/oauth2/v2.0/token`, {
      form,
      headers: {
        accept: '*/*',
        'user-agent': 'rest-client/2.1.0 (linux x86_64) jruby/9.4.9.0',
      },
      dispatcher: tls.files.connections(),
    })
  }

  test.each([
    ['as it is', 'https://orders.example/.default'],
    ['with the two slashes of its other mode', 'https://orders.example//.default'],
  ])('%s is answered with what it reads', async (_, scope) => {
    const { status, text, body } = await replay(scope)

    expect(status, text).toBe(200)
    const { access_token, expires_in } = body as Record<string, unknown>
    expect(typeof access_token).toBe('string')
    expect(Number(expires_in)).toBeGreaterThan(0)
  })
})
