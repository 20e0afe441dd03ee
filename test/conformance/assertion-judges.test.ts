import { constants, createHash, verify, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { decodeProtectedHeader, errors, importX509, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseCertificateName } from '../../src/base/ids.ts'
import { createKeyVaultCertificateSource } from '../../src/certificate/key-vault-certificate.ts'
import { trustByDefault } from '../support/default-trust.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { startOidcJudge, type OidcJudge } from '../support/oidc-judge.ts'
import { startRecordedVault } from '../support/recorded-vault.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  cast,
  type ConfigurationFile,
  type GrantFile,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** The product's assertions before judges that it did not write, in both profiles. */

interface Profile {
  readonly application: 'deploy' | 'events'
  readonly clientId: string
  readonly vaultCertificate: string
  readonly algorithm: 'PS256' | 'RS256'
}

const profiles: readonly Profile[] = [
  {
    application: 'deploy',
    clientId: cast.deployClientId,
    vaultCertificate: 'deploy-signing',
    algorithm: 'PS256',
  },
  {
    application: 'events',
    clientId: cast.eventsClientId,
    vaultCertificate: 'partner-signing',
    algorithm: 'RS256',
  },
]

/** `deploy` as Entra documents it today, `events` as older tools still do it, its certificate along. */
const bothProfiles = (file: ConfigurationFile): ConfigurationFile => ({
  ...file,
  applications: {
    deploy: { ...required(file.applications['deploy']), profile: 'entra' },
    events: {
      ...required(file.applications['events']),
      profile: 'entra-legacy',
      x5c: true,
      handOut: true,
    },
  },
})

const grants: readonly GrantFile[] = [
  {
    grant: 'judged',
    caller: { issuer: 'github', claims: { repository_id: '123456' } },
    may: [
      ...profiles.map(({ application }) => ({
        application,
        tenant: cast.fabrikam,
        assertion: { lifetimeSeconds: 300 },
      })),
      { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
    ],
    limits: { perMinute: 1000 },
  },
]

let emulator: TestEmulator
let service: TestService

beforeAll(async () => {
  emulator = await startServiceEmulator()
  service = await startTestService({ emulator, configuration: bothProfiles, grants })
})
afterAll(async () => {
  await service.stop()
  await emulator.stop()
})

/** From the vault's own store, not by way of the product. */
function certificateOf({ vaultCertificate }: Profile): Buffer {
  const stored = required(emulator.vaults[0]).store.find(vaultCertificate)
  return required(stored?.versions.at(-1)).der
}

interface Handed {
  readonly assertion: string
  readonly tokenEndpoint: string
}

async function assertionFrom(from: TestService, { application }: Profile): Promise<Handed> {
  const token = await from.callerToken('github')
  const json = { application, tenant: cast.fabrikam }
  const { status, body, text } = await from.ask('POST /v1/assertion', { token, json })
  expect(status, text).toBe(200)
  const answer = body as { client_assertion: string; token_endpoint: string }
  return { assertion: answer.client_assertion, tokenEndpoint: answer.token_endpoint }
}

/** RFC 7523 §2.2, as any client would. */
async function exchange(
  { assertion, tokenEndpoint }: Handed,
  clientId: string,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(tokenEndpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      scope: cast.orders,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const withAnotherEnd = (assertion: string) =>
  assertion.slice(0, -8) + (assertion.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA')

describe.each(profiles)('an assertion of $application ($algorithm)', (profile) => {
  const { clientId, algorithm } = profile

  test('is accepted by the emulated Entra, and not for another client', async () => {
    const handed = await assertionFrom(service, profile)

    expect(await exchange(handed, clientId)).toMatchObject({
      status: 200,
      body: { token_type: 'Bearer' },
    })
    const other = required(profiles.find((one) => one !== profile))
    expect(await exchange(handed, other.clientId)).toMatchObject({ status: 401 })
    const changed = { ...handed, assertion: withAnotherEnd(handed.assertion) }
    expect(await exchange(changed, clientId)).toMatchObject({
      status: 401,
      body: { error_codes: [700027] },
    })
  })

  test('verifies with jose, against the certificate of the vault', async () => {
    const { assertion, tokenEndpoint } = await assertionFrom(service, profile)
    const pem = new X509Certificate(certificateOf(profile)).toString()
    const key = await importX509(pem, algorithm)
    const expected = { algorithms: [algorithm], audience: tokenEndpoint, issuer: clientId }

    const { payload } = await jwtVerify(assertion, key, { ...expected, subject: clientId })
    expect(payload.exp).toBe((payload.iat ?? 0) + 300)
    await expect(jwtVerify(withAnotherEnd(assertion), key, expected)).rejects.toThrow(
      errors.JWSSignatureVerificationFailed,
    )
  })

  test('verifies with node:crypto alone', async () => {
    const { assertion } = await assertionFrom(service, profile)
    const [header = '', payload = '', signature = ''] = assertion.split('.')
    const { publicKey } = new X509Certificate(certificateOf(profile))
    const padding =
      algorithm === 'PS256'
        ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
        : { padding: constants.RSA_PKCS1_PADDING }
    const verifies = (input: string) =>
      verify(
        'sha256',
        Buffer.from(input, 'ascii'),
        { key: publicKey, ...padding },
        Buffer.from(signature, 'base64url'),
      )

    expect(verifies(`${header}.${payload}`)).toBe(true)
    expect(verifies(`${payload}.${header}`)).toBe(false)
  })

  test('names its certificate by a thumbprint that anybody would compute', async () => {
    const { assertion } = await assertionFrom(service, profile)
    const der = certificateOf(profile)
    const thumbprint = (algorithmName: string) =>
      createHash(algorithmName).update(der).digest('base64url')
    const named =
      algorithm === 'PS256'
        ? { 'x5t#S256': thumbprint('sha256') }
        : { x5t: thumbprint('sha1'), x5c: [der.toString('base64')] }

    expect(decodeProtectedHeader(assertion)).toEqual({ alg: algorithm, typ: 'JWT', ...named })
  })
})

describe('oidc-provider', () => {
  let judge: OidcJudge
  let judged: TestService

  /** Its token endpoint is the tenant's, so that what the product addresses to Entra is addressed to it. */
  beforeAll(async () => {
    judge = await startOidcJudge(
      cast.fabrikam,
      profiles.map((profile) => ({ ...profile, der: certificateOf(profile) })),
      [cast.orders],
    )
    trustByDefault(judge.ca)
    judged = await startTestService({
      emulator,
      grants,
      configuration: (file) => {
        const { github } = file.issuers
        return {
          ...bothProfiles(file),
          cloud: { authority: judge.origin, vaultSuffix: '127.0.0.1' },
          issuers: { github: required(github) },
        }
      },
    })
  })
  afterAll(async () => {
    await judged.stop()
    await judge.close()
  })

  test.each(profiles)(
    'accepts an assertion of $application as private_key_jwt',
    async (profile) => {
      const handed = await assertionFrom(judged, profile)
      expect(handed.tokenEndpoint).toBe(`${judge.origin}/${cast.fabrikam}/oauth2/v2.0/token`)

      expect(await exchange(handed, profile.clientId)).toMatchObject({
        status: 200,
        body: { token_type: 'Bearer', scope: cast.orders },
      })
      // Its jti is unique, so a judge that remembers does not take it twice.
      expect(await exchange(handed, profile.clientId)).toMatchObject({
        status: 401,
        body: { error: 'invalid_client' },
      })
    },
  )

  test.each(profiles)('refuses one of $application that was changed', async (profile) => {
    const { assertion, tokenEndpoint } = await assertionFrom(judged, profile)
    const changed = { assertion: withAnotherEnd(assertion), tokenEndpoint }

    expect(await exchange(changed, profile.clientId)).toMatchObject({ status: 401 })
  })

  test('refuses one that is addressed to Entra', async () => {
    const [profile] = profiles
    const { assertion } = await assertionFrom(service, required(profile))
    const { tokenEndpoint } = await assertionFrom(judged, required(profile))

    expect(await exchange({ assertion, tokenEndpoint }, cast.deployClientId)).toMatchObject({
      status: 401,
    })
  })

  test('gives a token to the service itself, which asks it as it asks Entra', async () => {
    const token = await judged.callerToken('github')
    const answer: Answer = await judged.ask('POST /v1/token', { token, json: ordersAsk })

    expect(answer.status, answer.text).toBe(200)
    expect(judged.entries().at(-1)).toMatchObject({ kind: 'token.issued', grant: 'judged' })
  })
})

describe('the thumbprints of a certificate', () => {
  const recorded = JSON.parse(
    readFileSync('test/fixtures/certificates/recorded-by-key-vault.json', 'utf8'),
  ) as Record<'cer' | 'x5t' | 'x5t#S256', string>

  test('are those that the real Key Vault, and everybody since, have for a recorded one', async () => {
    const vault = await startRecordedVault(recorded.cer)
    try {
      const source = createKeyVaultCertificateSource(vault.access, fixedClock(1_640_000_000))
      const certificate = await source.load({
        name: required(parseCertificateName('recorded')),
        vaultUrl: vault.url,
        vaultCertificateName: 'c',
        requireHsm: true,
      })

      expect(certificate.thumbprintSha1).toBe(recorded.x5t)
      expect(certificate.thumbprintSha256).toBe(recorded['x5t#S256'])
    } finally {
      await vault.close()
    }
  })
})
