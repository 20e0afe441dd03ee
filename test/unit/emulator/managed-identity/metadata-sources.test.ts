import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, describe, expect, test } from 'vitest'
import type { EmulatedService } from '../../../../src/emulator/exchange.ts'
import { createArc } from '../../../../src/emulator/managed-identity/arc.ts'
import { createCloudShell } from '../../../../src/emulator/managed-identity/cloud-shell.ts'
import { createImds } from '../../../../src/emulator/managed-identity/imds.ts'
import { createPrincipalTokens } from '../../../../src/emulator/managed-identity/principal-tokens.ts'
import { worldSchema } from '../../../../src/emulator/world.ts'
import { call, contoso, createTestEntra, defaultWorld } from '../../../support/emulated-entra.ts'
import { required } from '../../../support/required.ts'

/** What the endpoints say to requests as they stand, wrong ones above all. */

const { entra, clock, faults } = await createTestEntra()
const deps = {
  principal: required(defaultWorld.principals.find(({ name }) => name === 'countersign')),
  issueToken: createPrincipalTokens(entra.accessTokens, entra.directory),
  clock,
  faults,
}
const own = '51000000-0000-4000-8000-0000000000c1'
const path = '/metadata/identity/oauth2/token'
const resource = 'resource=https%3A%2F%2Fvault.azure.net'
const marked = { metadata: 'true' }

describe('IMDS', () => {
  const imds = createImds(deps)
  const query = `api-version=2018-02-01&${resource}`

  test.for(['', '/'])('answers at its path with "%s" behind it, in texts alone', async (end) => {
    const { status, json } = await call(imds, 'GET', `${path}${end}?${query}`, { headers: marked })
    expect(status).toBe(200)
    const { access_token, not_before, ...others } = json
    expect(others).toEqual({
      client_id: own,
      expires_in: '3599',
      expires_on: String(Number(not_before) + 3599),
      ext_expires_in: '3599',
      resource: 'https://vault.azure.net',
      token_type: 'Bearer',
    })
    expect(decodeJwt(String(access_token))['oid']).toBe('51000000-0000-4000-8000-000000000001')
  })

  test.for([
    ['without its header', `GET ${path}?${query}`, {}, 400, 'bad_request_102 Required metadata'],
    ['as a probe', `GET ${path}`, {}, 400, 'bad_request_102 Required metadata'],
    [
      'that came through a proxy',
      `GET ${path}?${query}`,
      { ...marked, 'x-forwarded-for': '10.0.0.1' },
      400,
      'forwarded',
    ],
    ['without a version', `GET ${path}?${resource}`, marked, 400, 'api-version is invalid or was'],
    [
      'of a version without tokens',
      `GET ${path}?api-version=2017-12-01&${resource}`,
      marked,
      400,
      'api-version is invalid or was',
    ],
    [
      'without a resource',
      `GET ${path}?api-version=2018-02-01`,
      marked,
      400,
      "Required query variable 'resource' is missing",
    ],
    [
      'for another identity',
      `GET ${path}?${query}&client_id=${contoso}`,
      marked,
      400,
      'Identity not found',
    ],
    [
      'for an unknown resource',
      `GET ${path}?api-version=2018-02-01&resource=https%3A%2F%2Fnowhere.example`,
      marked,
      400,
      'AADSTS500011: ',
    ],
    ['by another method', `POST ${path}?${query}`, marked, 405, 'Only GET'],
    ['elsewhere', `GET /metadata/instance?${query}`, marked, 404, 'Not found'],
  ] as const)('refuses a request %s', async ([, request, headers, status, words]) => {
    const [method = '', target = ''] = request.split(' ')
    const answer = await call(imds, method, target, { headers })
    expect(answer.status).toBe(status)
    expect(answer.json['error_description']).toContain(words)
    expect(answer.json['access_token']).toBeUndefined()
  })
})

describe('Cloud Shell', () => {
  const cloudShell = createCloudShell(deps)
  const ask = (method: string, body: string, headers = marked) =>
    call(cloudShell, method, '/oauth2/token', { headers, body })

  test('takes the resource in a form', async () => {
    const { status, json } = await ask('POST', resource)
    expect(status).toBe(200)
    expect(json).toMatchObject({ token_type: 'Bearer', expires_in: '3599' })
  })

  test.for([
    ['without its header', 'POST', resource, {}, 400, 'InvalidRequest'],
    ['by another method', 'GET', '', marked, 405, 'MethodNotAllowed'],
    ['without a resource', 'POST', '', marked, 400, 'InvalidRequest'],
    ['for an unknown one', 'POST', 'resource=urn:x', marked, 400, 'AudienceNotSupported'],
  ] as const)('refuses a request %s', async ([, method, body, headers, status, code]) => {
    const answer = await call(cloudShell, method, '/oauth2/token', { headers, body })
    expect([answer.status, answer.json]).toMatchObject([status, { error: { code } }])
  })
})

describe('Azure Arc', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emulator-arc-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  const query = `api-version=2020-06-01&${resource}`

  const challenged = async (arc: EmulatedService) => {
    const { status, headers, json } = await call(arc, 'GET', `${path}?${query}`, {
      headers: marked,
    })
    expect([status, json['error_description']]).toEqual([401, 'Missing Basic Authorization header'])
    return required(/^Basic realm=(.+\.key)$/.exec(String(headers['www-authenticate']))?.[1])
  }
  const show = (arc: EmulatedService, key: string, more = '') =>
    call(arc, 'GET', `${path}?${query}${more}`, {
      headers: { ...marked, authorization: `Basic ${key}` },
    })

  test('gives a token for what is in a file that it names, once, and says for whom', async () => {
    const arc = await createArc(folder, deps)
    const { service } = arc
    const file = await challenged(service)
    expect(statSync(file).mode & 0o007).toBe(0)
    const key = readFileSync(file, 'utf8')
    const { status, json } = await show(service, key, `&object_id=${deps.principal.objectId}`)
    expect([status, json]).toMatchObject([
      200,
      { client_id: own, object_id: deps.principal.objectId },
    ])
    expect(readdirSync(folder)).toEqual([])
    expect((await show(service, key)).status).toBe(401)
    await arc.close()
  })

  test('gives nothing for a guess, without its header, or of another version', async () => {
    const arc = await createArc(folder, deps)
    const { service } = arc
    await challenged(service)
    expect((await show(service, 'guess')).status).toBe(401)
    expect((await call(service, 'GET', `${path}?${query}`)).status).toBe(400)
    const other = `${path}?api-version=2018-02-01&${resource}`
    expect((await call(service, 'GET', other, { headers: marked })).status).toBe(400)
    await arc.close()
    expect(readdirSync(folder)).toEqual([])
  })

  test('keeps few keys, however many are asked for', async () => {
    const arc = await createArc(folder, deps)
    const { service } = arc
    for (let i = 0; i < 70; i += 1) await challenged(service)
    expect(readdirSync(folder)).toHaveLength(64)
    await arc.close()
  })

  test('does not start without its folder', async () => {
    await expect(createArc(join(folder, 'nowhere'), deps)).rejects.toThrow(/keys of Azure Arc/)
  })
})

test('a principal of a pod must have somebody who stands for it', () => {
  const [first] = defaultWorld.principals
  const principals = [{ ...first, sources: ['workload-identity'] }]
  expect(() => worldSchema.parse({ ...defaultWorld, principals })).toThrow(/federatedCredentials/)
})
