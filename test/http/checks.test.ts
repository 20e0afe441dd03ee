import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contractFaults } from '../support/contract.ts'
import { expectNothingPrivate } from '../support/problems.ts'
import { required } from '../support/required.ts'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

/** The checks that the tests of the service lean on, and what they must not let pass. */

describe('the check of an exchange against openapi.yaml', () => {
  const good = {
    method: 'GET',
    path: '/healthz',
    requestBody: undefined,
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: { status: 'alive' },
  }
  const attempt = '01a202dd-3df0-71b2-8e51-d1abd8c3438e'
  const problem = {
    ...good,
    method: 'POST',
    path: '/v1/token',
    requestBody: { application: 'events', tenant: attempt, scope: 'a:b/.default' },
    status: 403,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'countersign-attempt': attempt,
    },
    body: {
      type: 'urn:countersign:problem:not_granted',
      title: 'Not granted',
      status: 403,
      detail: 'No.',
      code: 'not_granted',
      attempt,
    },
  }

  test.each([good, problem])('finds nothing wrong with what is right', (exchange) => {
    expect(contractFaults(exchange)).toEqual([])
  })

  test.each([
    ['a status', { ...good, status: 204 }],
    ['a media type', { ...good, headers: { ...good.headers, 'content-type': 'text/html' } }],
    ['a header', { ...good, headers: { ...good.headers, 'x-powered-by': 'Express' } }],
    ['a member', { ...good, body: { status: 'alive', version: '0.1.0' } }],
    ['a cacheable answer', { ...good, headers: { 'content-type': 'application/json' } }],
    ['an answer where there is no path', { ...good, path: '/debug' }],
    ['an answer where there is no method', { ...good, method: 'POST' }],
    [
      'an attempt that is missing',
      { ...problem, headers: { ...problem.headers, 'countersign-attempt': undefined } },
    ],
    ['two attempts', { ...problem, body: { ...problem.body, attempt: attempt.replace('0', '1') } }],
    ['a code', { ...problem, body: { ...problem.body, code: 'no_idea' } }],
    ['a request that is answered', { ...problem, requestBody: { application: 'events' } }],
  ])('finds %s that the document does not know', (_, exchange) => {
    expect(contractFaults(exchange)).not.toEqual([])
  })
})

describe('the check that nothing private is told', () => {
  let service: TestService

  beforeAll(async () => {
    service = await startTestService()
  })
  afterAll(() => service.stop())

  const check = (text: string, token?: string) => {
    expectNothingPrivate({ text, headers: {} }, service, token === undefined ? {} : { token })
  }

  test('lets a dull sentence pass', async () => {
    const token = await service.callerToken('github')

    check('{"detail":"The caller token was not accepted. See /openapi.yaml."}', token)
  })

  test.each([
    ['the name of a vault', () => 'contoso-hsm'],
    ['its address', () => new URL(required(service.emulator.endpoints.vaults['contoso-hsm'])).host],
    ['the name of a key', () => 'partner-signing'],
    [
      'its version',
      () => required(service.emulator.vaults[0]?.store.find('deploy-signing')?.versions[0]).version,
    ],
    ['an object id', () => cast.serviceObjectId],
    ['a file', () => 'countersign.db'],
    ['a folder', () => `${service.folder}/grants`],
    ['a stack', () => 'at issueToken (issuance.js:12:3)'],
    ['words of the vault', () => 'AKV10022: Invalid audience'],
    ['words of Entra', () => 'AADSTS700027: not registered'],
    ['an assertion', () => 'eyJhbGciOiJQUzI1NiJ9.eyJhdWQiOiJ4In0.AAAA'],
  ])('does not let pass %s', (_, text) => {
    expect(() => {
      check(`{"detail":"${text()}"}`)
    }).toThrow()
  })

  test('does not let pass what the caller sent: its token, and what that says', async () => {
    const token = await service.callerToken('github')
    for (const text of [token, token.split('.')[2], 'fabrikam/billing', 'refs/heads/main']) {
      expect(() => {
        check(`{"detail":"${String(text)}"}`, token)
      }).toThrow()
    }
  })
})
