import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { createEmulatorClock } from '../../src/emulator/emulator-clock.ts'
import { createEntra } from '../../src/emulator/entra/entra.ts'
import { generateEntraKey } from '../../src/emulator/entra/entra-keys.ts'
import type { EmulatedRequest, EmulatedService } from '../../src/emulator/exchange.ts'
import { createFaultList } from '../../src/emulator/faults.ts'
import { createSeededRandom } from '../../src/emulator/random.ts'
import { createSigningKeys } from '../../src/emulator/signing-keys.ts'
import { defaultWorldFile, readWorld } from '../../src/emulator/world.ts'
import { createClientCertificate, type ClientCertificate } from './client-certificate.ts'

export const defaultWorld = readWorld(defaultWorldFile)

/** The default world with the one vault that its applications need: the others cost seconds of key generation. */
export const oneVaultWorld = {
  ...defaultWorld,
  vaults: defaultWorld.vaults.filter(({ name }) => name === 'contoso-hsm'),
}

export const contoso = 'c0c0c0c0-0000-4000-8000-000000000001'
export const fabrikam = 'fab00000-0000-4000-8000-000000000002'
export const northwind = '0a0a0a0a-0000-4000-8000-000000000003'
/** The application `events`, present in all three tenants. */
export const events = '11111111-0000-4000-8000-000000000001'
/** The application `deploy`, absent from northwind. */
export const deploy = '22222222-0000-4000-8000-000000000002'

export const origin = 'https://127.0.0.1:8443'

/** RSA keys take a tenth of a second each, so all tests of a file share these two. */
const entraKey = generateEntraKey(createEmulatorClock())
const eventsCertificate = createClientCertificate()

/** The emulated Entra as a function, without a socket; `events` has one certificate whose key is at hand. */
export async function createTestEntra() {
  const clock = createEmulatorClock()
  const faults = createFaultList(createSeededRandom(1))
  const keys = await createSigningKeys(() => entraKey)
  const entra = createEntra({
    origin,
    world: defaultWorld,
    clock,
    keys,
    faults,
    random: createSeededRandom(2),
    federatedIssuers: () => undefined,
    signedIn: () => undefined,
  })
  const certificate = await eventsCertificate
  entra.certificates.register('events', certificate.der)
  return { entra, clock, faults, certificate }
}

export interface AssertionChanges {
  readonly header?: Readonly<Record<string, unknown>>
  /** A claim that is undefined here is left out. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/** The client assertion that Entra documents for `events` in fabrikam, with changes. */
export async function signAssertion(
  certificate: ClientCertificate,
  nowSeconds: number,
  { header = {}, claims = {} }: AssertionChanges = {},
): Promise<string> {
  const payload = {
    aud: `${origin}/${fabrikam}/oauth2/v2.0/token`,
    iss: events,
    sub: events,
    jti: randomUUID(),
    nbf: nowSeconds,
    iat: nowSeconds,
    exp: nowSeconds + 300,
    ...claims,
  }
  const documented = { alg: 'PS256', typ: 'JWT', 'x5t#S256': certificate.x5tS256 }
  return new SignJWT(payload)
    .setProtectedHeader({ ...documented, ...header })
    .sign(certificate.privateKey)
}

export const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** The documented form for a token for the orders API; a parameter that is undefined is left out. */
export function tokenForm(
  clientAssertion: string,
  changes: Readonly<Record<string, string | undefined>> = {},
): string {
  const parameters: Readonly<Record<string, string | undefined>> = {
    grant_type: 'client_credentials',
    client_id: events,
    scope: 'https://orders.example/.default',
    client_assertion_type: jwtBearer,
    client_assertion: clientAssertion,
    ...changes,
  }
  return new URLSearchParams(
    Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  ).toString()
}

export interface TestAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly json: Readonly<Record<string, unknown>>
}

interface RequestOptions {
  readonly headers?: EmulatedRequest['headers']
  readonly body?: string
}

/** A request as the listener hands it to a service. */
export function requestOf(
  method: string,
  target: string,
  { headers = {}, body = '' }: RequestOptions = {},
): EmulatedRequest {
  const [path = '', ...query] = target.split('?')
  return {
    method,
    target,
    path,
    query: new URLSearchParams(query.join('?')),
    headers,
    body: Buffer.from(body),
    remoteAddress: '127.0.0.1',
    tlsVersion: 'TLSv1.3',
  }
}

/** What a service answers in JSON. @throws Error where it drops the connection. */
export async function call(
  service: EmulatedService,
  method: string,
  target: string,
  options?: RequestOptions,
): Promise<TestAnswer> {
  const reply = await service(requestOf(method, target, options))
  if (reply.kind === 'drop') throw new Error('the connection was dropped')
  const json = JSON.parse(reply.body.toString('utf8') || '{}') as TestAnswer['json']
  return { status: reply.status, headers: reply.headers, json }
}

/** Posts a form to the token endpoint of a tenant, fabrikam unless told. */
export const postToken = (
  service: EmulatedService,
  body: string,
  {
    tenant = fabrikam,
    headers = {},
  }: { tenant?: string; headers?: EmulatedRequest['headers'] } = {},
) =>
  call(service, 'POST', `/${tenant}/oauth2/v2.0/token`, {
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
  })
