import type { Express } from 'express'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ProblemCode } from '../../src/http/problem.ts'
import { entraTokenRequestSchema } from '../../src/http/entra-token.ts'
import { clientCredentialsSchema, tokenExchangeSchema } from '../../src/http/oauth-token.ts'
import { assertionRequestSchema } from '../../src/http/v1-assertion.ts'
import { entriesQuerySchema } from '../../src/http/v1-entries.ts'
import { revocationRequestSchema } from '../../src/http/v1-revocations.ts'
import { tokenRequestSchema } from '../../src/http/v1-token.ts'
import { contract } from '../support/contract.ts'
import { required } from '../support/required.ts'
import { startTestService, type TestService } from '../support/test-service.ts'

/** `openapi.yaml` is written by hand; here it is held to the code, in both directions. */

/** A schema without its prose. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'description' && name !== '$schema')
      .map(([name, one]) => [name, bare(one)]),
  )
}

describe('openapi.yaml describes', () => {
  test.each([
    ['TokenRequest', tokenRequestSchema],
    ['AssertionRequest', assertionRequestSchema],
    ['RevocationRequest', revocationRequestSchema],
    ['ClientCredentialsRequest', clientCredentialsSchema],
    ['TokenExchangeRequest', tokenExchangeSchema],
    ['EntraTokenRequest', entraTokenRequestSchema],
  ])('%s as the route checks it', (name, schema) => {
    const onThePath = z.toJSONSchema(schema, { io: 'input' })

    expect(bare(contract.components.schemas[name])).toEqual(bare(onThePath))
  })

  test('the parameters of a page of entries as the route checks them', () => {
    const parameters = required(contract.paths['/v1/entries']?.['get']).parameters ?? []
    const onThePath = z.toJSONSchema(entriesQuerySchema, { io: 'output' })

    expect(
      Object.fromEntries(
        parameters.flatMap((one) => ('name' in one ? [[one.name, one.schema]] : [])),
      ),
    ).toEqual(onThePath.properties)
  })

  test('every code of a problem, and no other', () => {
    // The type makes this list whole: a code too many or too few does not compile.
    const codes: Record<ProblemCode, true> = {
      request_invalid: true,
      caller_not_proven: true,
      caller_token_spent: true,
      not_granted: true,
      revoked: true,
      lifetime_too_long: true,
      revokes_its_maker: true,
      revocation_unknown: true,
      revocations_too_many: true,
      entries_missing: true,
      attempt_unknown: true,
      not_found: true,
      method_not_allowed: true,
      cross_site: true,
      body_too_large: true,
      media_type_unsupported: true,
      limit_reached: true,
      too_many_waiting: true,
      too_many_requests: true,
      too_many_connections: true,
      signing_busy: true,
      signing_paused: true,
      internal: true,
      entra_refused: true,
      entra_paused: true,
      entra_unavailable: true,
      issuer_unavailable: true,
      ledger_unavailable: true,
      ledger_unreadable: true,
      audit_busy: true,
      too_many_tokens: true,
      not_ready: true,
      signing_throttled: true,
      signing_unavailable: true,
      signing_broken: true,
      token_unavailable: true,
    }
    const documented = required(contract.components.schemas['ProblemCode'])['enum'] as string[]

    expect(documented.toSorted()).toEqual(Object.keys(codes).toSorted())
  })
})

describe('the service offers', () => {
  let service: TestService

  beforeAll(async () => {
    service = await startTestService()
  })
  afterAll(() => service.stop())

  const documented = (isThere: (operation: string, tags: readonly string[]) => boolean) =>
    Object.entries(contract.paths)
      .flatMap(([path, operations]) =>
        Object.entries(operations).map(
          ([method, { tags = [] }]) => [`${method} ${path}`, tags] as const,
        ),
      )
      .filter(([operation, tags]) => isThere(operation, tags))
      .map(([operation]) => operation)
      .toSorted()

  test('the operations of openapi.yaml, and no others', () => {
    expect(operationsOf(service.service.app.router)).toEqual(documented(() => true))
  })

  test('on a listener for machines those that are tagged so, and no others', () => {
    const forMachines = documented((_, tags) => tags.includes('machines'))

    expect(operationsOf(service.service.machinesApp)).toEqual(forMachines)
    expect(forMachines).toEqual(['get /healthz', 'get /metrics', 'get /readyz'])
  })

  test('openapi.yaml itself, as it is in the repository', async () => {
    const { status, headers, body } = await service.ask('GET /openapi.yaml')

    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/yaml')
    expect(body).toContain('openapi: 3.1.0')
  })
})

const methods = ['get', 'post', 'put', 'patch', 'delete']

/** `get /healthz`: handlers of HEAD and of all methods are there to refuse. */
function operationsOf(app: Express): readonly string[] {
  return app.router.stack
    .flatMap(({ route }) => (route === undefined ? [] : [route]))
    .flatMap(({ path, stack }) =>
      stack
        .map(({ method }) => method)
        .filter((method) => methods.includes(method))
        .map((method) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`),
    )
    .toSorted()
}
