import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import { programsIn, runCommand } from '../support/command-line.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { runModule } from '../support/module-run.ts'
import { required } from '../support/required.ts'
import {
  cast,
  serviceWorld,
  startServiceEmulator,
  startTestService,
  type ConfigurationFile,
  type GrantFile,
  type TestService,
} from '../support/test-service.ts'

/** Each kind of issuer as its example has it: who may, who may not, and what callers run. */

type Texts = Readonly<Record<string, string>>

interface Example {
  /** Its folder; the one issuer in it is of this kind. */
  readonly kind: string
  readonly grant: string
  /** Settings that say where the emulator has the issuer; the rest is the example's. */
  readonly found: () => object
  /** A token that the grant names, but for these claims. */
  readonly mint: (claims: Texts) => Promise<string>
  /** Every claim of the grant, each as the token of somebody else has it. */
  readonly others: Texts
  /** What the caller runs, with what its platform gives it. */
  readonly run: (platform: Platform) => Run
}

interface Run {
  readonly command: string
  readonly environment: Texts
}

/** What stands around a caller. */
interface Platform {
  readonly token: string
  readonly tokenFile: string
}

let emulator: TestEmulator

const issuerUrl = (name: string) => required(emulator.endpoints.issuers[name])

/** By an issuer of the emulator's, for the audience that is asked for; absent: the issuer's own. */
const minted = (issuer: string, audience?: string) => (claims: Texts) =>
  required(emulator.issuers.find(issuer)).mint(mintOrderSchema.parse({ claims, audience }))

const read = (path: string) => readFileSync(join('examples', path), 'utf8')
const readYaml = (path: string): never => parse(read(path)) as never

const github: Example = {
  kind: 'github',
  grant: 'deploy',
  found: () => ({ issuer: issuerUrl('github') }),
  mint: minted('github', cast.publicUrl),
  others: { repository_id: '123457', environment: 'staging' },
  run: () => {
    const { jobs }: { jobs: { deploy: { env: Texts; steps: { run: string }[] } } } =
      readYaml('github/workflow.yml')
    const runner = required(emulator.issuers.find('github')?.jobs).start(mintOrderSchema.parse({}))
    return {
      command: jobs.deploy.steps.map((step) => step.run).join('\n'),
      environment: {
        ...jobs.deploy.env,
        ACTIONS_ID_TOKEN_REQUEST_URL: runner.requestUrl,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: runner.requestToken,
      },
    }
  },
}

const gitlab: Example = {
  kind: 'gitlab',
  grant: 'billing-export',
  found: () => ({ issuer: issuerUrl('gitlab') }),
  mint: minted('gitlab', cast.publicUrl),
  others: { project_id: '21', ref: 'next', ref_type: 'tag', ref_protected: 'false' },
  run: ({ token }) => {
    const { export: job }: { export: { id_tokens: object; variables: Texts; script: string[] } } =
      readYaml('gitlab/gitlab-ci.yml')
    const [variable = ''] = Object.keys(job.id_tokens)
    return { command: job.script.join('\n'), environment: { ...job.variables, [variable]: token } }
  },
}

const kubernetes: Example = {
  kind: 'kubernetes',
  grant: 'billing-export',
  found: () => ({ issuer: issuerUrl('cluster') }),
  mint: minted('cluster', cast.publicUrl),
  others: { sub: 'system:serviceaccount:billing:default' },
  run: ({ tokenFile }) => {
    const { spec }: { spec: { containers: [{ command: string[]; env: NamedValue[] }] } } =
      readYaml('kubernetes/pod.yaml')
    const [{ command, env }] = spec.containers
    const environment = Object.fromEntries(env.map(({ name, value }) => [name, value]))
    return {
      command: command.at(-1) ?? '',
      environment: { ...environment, COUNTERSIGN_TOKEN_FILE: tokenFile },
    }
  },
}

interface NamedValue {
  readonly name: string
  readonly value: string
}

const azureDevOps: Example = {
  kind: 'azure-devops',
  grant: 'billing-export',
  found: () => ({ issuer: issuerUrl('devops') }),
  // Nobody can ask it for another audience than its own.
  mint: minted('devops'),
  others: {
    sub: 'sc://fabrikam/billing/another',
    def_id: '13',
    rpo_ref: 'refs/heads/next',
  },
  run: () => {
    const { steps }: { steps: [{ inputs: { inlineScript: string }; env: Texts }] } = readYaml(
      'azure-devops/azure-pipelines.yml',
    )
    const [{ inputs, env }] = steps
    const job = required(emulator.issuers.find('devops')?.jobs).start(mintOrderSchema.parse({}))
    expect(env).toMatchObject({ SYSTEM_ACCESSTOKEN: '$(System.AccessToken)' })
    return {
      command: inputs.inlineScript,
      environment: {
        ...env,
        // Of the platform; which connection is the job's own is drawn.
        SYSTEM_OIDCREQUESTURI: job.requestUrl,
        SYSTEM_ACCESSTOKEN: job.requestToken,
        AZURESUBSCRIPTION_SERVICE_CONNECTION_ID: required(job.serviceConnectionId),
      },
    }
  },
}

const entra: Example = {
  kind: 'entra',
  grant: 'billing-export',
  found: () => ({}),
  mint: ({ tid = cast.fabrikam, oid = cast.workloadObjectId }) =>
    emulator.entra.accessTokens.issue(
      { tenantId: tid, clientId: '51000000-0000-4000-8000-0000000000c4', objectId: oid },
      required(emulator.world.resources.find(({ uris }) => uris.includes(cast.publicUrl))),
    ),
  others: { tid: cast.northwind, oid: '51000000-0000-4000-8000-000000000003' },
  run: () => {
    const { endpoint, header } = required(emulator.endpoints.managedIdentities['fabrikam-orders'])
    return {
      command: read('entra/export.sh'),
      environment: { TENANT: cast.fabrikam, IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header },
    }
  },
}

const entraB2c: Example = {
  kind: 'entra-b2c',
  grant: 'billing-export',
  found: () => ({ issuer: issuerUrl('customers') }),
  // Its audience is the client id of an application, which is what the emulator has too.
  mint: minted('customers'),
  others: { sub: '884408e1-2918-4c00-b12d-3aa027d7563c' },
  run: ({ token }) => ({
    command: read('entra-b2c/export.sh'),
    environment: { TENANT: cast.fabrikam, COUNTERSIGN_TOKEN: token },
  }),
}

const spiffe: Example = {
  kind: 'spiffe',
  grant: 'billing-export',
  found: () => ({ bundleUrl: `${issuerUrl('mesh')}/bundle` }),
  mint: minted('mesh', cast.publicUrl),
  others: { sub: 'spiffe://fabrikam.example/billing/import' },
  run: ({ tokenFile }) => ({
    command: read('spiffe/export.sh'),
    environment: { TENANT: cast.fabrikam, COUNTERSIGN_TOKEN_FILE: tokenFile },
  }),
}

const oidc: Example = {
  kind: 'oidc',
  grant: 'billing-export',
  found: () => ({ issuer: issuerUrl('buildkite') }),
  mint: minted('buildkite', cast.publicUrl),
  others: { pipeline_id: '018f0000-0000-4000-8000-000000000003', build_branch: 'next' },
  run: ({ tokenFile }) => {
    const { env, steps }: { env: Texts; steps: [{ command: string }] } =
      readYaml('oidc/pipeline.yml')
    return {
      // As Buildkite does when it reads the file.
      command: steps[0].command.replaceAll('$$', '$'),
      environment: { ...env, AGENT_TOKEN_FILE: tokenFile },
    }
  },
}

const examples = [github, gitlab, kubernetes, azureDevOps, entra, entraB2c, spiffe, oidc]

/** Stand for programs of others: one does as the Azure CLI would, one gives what the platform would. */
const programs = {
  az: `exec '${process.execPath}' '${resolve('test/support/azure-login.ts')}' "$@"`,
  'buildkite-agent': 'cat "$AGENT_TOKEN_FILE"',
}

let shared: Texts
let folder: string

beforeAll(async () => {
  emulator = await startServiceEmulator({
    ...serviceWorld,
    issuers: [
      ...serviceWorld.issuers,
      { name: 'customers', kind: 'entra-b2c', claims: {} },
      {
        name: 'buildkite',
        kind: 'oidc',
        claims: {
          sub: 'organization:fabrikam:pipeline:billing:ref:refs/heads/main:commit:5a1d6f0:step:export',
          organization_id: '018f0000-0000-4000-8000-000000000001',
          pipeline_id: '018f0000-0000-4000-8000-000000000002',
          build_branch: 'main',
        },
      },
    ],
  })
  folder = mkdtempSync(join(tmpdir(), 'countersign-examples-'))
  const { caFile, authority, resourceManager } = emulator.endpoints
  shared = {
    AZURE_AUTHORITY_HOST: authority,
    RESOURCE_MANAGER: resourceManager,
    PATH: programsIn(folder, programs),
    NODE_EXTRA_CA_CERTS: caFile,
    CURL_CA_BUNDLE: caFile,
  }
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await emulator.stop()
})

describe.each(examples)('examples/$kind', ({ kind, grant, found, mint, others, run }) => {
  const grantFile: GrantFile = readYaml(`${kind}/grants/${grant}.yaml`)
  const written: ConfigurationFile = readYaml(`${kind}/countersign.yaml`)
  const [issuerName, issuer] = required(Object.entries(written.issuers)[0])
  let service: TestService

  beforeAll(async () => {
    service = await startTestService({
      emulator,
      grants: [grantFile],
      configuration: ({ publicUrl, listen, cloud, credential, ledger, certificates }) => ({
        ...written,
        publicUrl,
        listen,
        cloud,
        credential,
        ledger,
        machines: { host: '127.0.0.1', port: 0 },
        certificates: Object.fromEntries(
          Object.keys(written.certificates).map((name) => [name, required(certificates[name])]),
        ),
        issuers: { [issuerName]: { ...issuer, ...found() } },
      }),
    })
  })
  afterAll(() => service.stop())

  const ask = async (claims: Texts) => {
    const [may] = grantFile.may
    const { application, tenant, scopes } = may as Record<string, string | [string]>
    const token = await mint(claims)
    return scopes === undefined
      ? service.ask('POST /v1/assertion', { token, json: { application, tenant } })
      : service.ask('POST /v1/token', { token, json: { application, tenant, scope: scopes[0] } })
  }

  test('is of this kind, and gives what its grant says', async () => {
    expect(issuer.kind).toBe(kind)
    expect(await ask({})).toMatchObject({ status: 200 })
  })

  test('names others by every claim of its grant', () => {
    expect(Object.keys(others)).toEqual(Object.keys(grantFile.caller.claims))
  })

  test.each(Object.entries(others))('refuses whoever has another %s: %s', async (claim, other) => {
    expect(await ask({ [claim]: other })).toMatchObject({
      status: 403,
      body: { code: 'not_granted' },
    })
  })

  test.each(Object.keys(('require' in issuer && issuer.require) || {}))(
    'does not take the token for a proof where %s is another',
    async (claim) => {
      expect(await ask({ [claim]: "somebody else's" })).toMatchObject({
        status: 401,
        body: { code: 'caller_not_proven' },
      })
    },
  )

  test('serves what its callers run', async () => {
    const token = await mint({})
    const tokenFile = join(folder, `${kind}-token`)
    writeFileSync(tokenFile, token)
    const { command, environment } = run({ token, tokenFile })
    const { code, stdout, stderr } = await runCommand(command, {
      ...environment,
      ...shared,
      COUNTERSIGN_URL: service.origin,
      ORDERS_URL: emulator.endpoints.sampleResource,
    })
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/"orders":|"name": "fabrikam-production"/)
    expect(service.entries().at(-1)?.kind).toMatch(/^(token|assertion)\.issued$/)
  })
})

test('examples/azure-sdk/assertion-provider.mjs gets a token, for one signature', async () => {
  const service = await startTestService({ emulator })
  const tokenFile = join(folder, 'sdk-token')
  writeFileSync(tokenFile, await service.callerToken('github'))
  const { code, stdout, stderr } = await runModule('examples/azure-sdk/assertion-provider.mjs', {
    ...shared,
    NODE_OPTIONS: `--import=${import.meta.resolve('../support/client-from-source.ts')}`,
    COUNTERSIGN_URL: service.origin,
    COUNTERSIGN_TOKEN_FILE: tokenFile,
    AZURE_AUTHORITY_HOST: emulator.endpoints.authority,
    AZURE_TENANT_ID: cast.fabrikam,
    AZURE_CLIENT_ID: cast.deployClientId,
    SCOPE: cast.eventHubs,
  })
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ tid: cast.fabrikam, app: cast.deployClientId })
  const signed = service.vaultRecords().map(({ operationName }) => operationName)
  expect(signed).toEqual(['KeySign'])
  await service.stop()
})
