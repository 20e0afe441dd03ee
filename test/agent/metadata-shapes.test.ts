import { setTimeout as delay } from 'node:timers/promises'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownGroup } from '../support/own-group.ts'
import { sendRaw } from '../support/raw-http.ts'
import {
  type AgentAnswer,
  type AgentFile,
  startTestAgent,
  type TestAgent,
} from '../support/test-agent.ts'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

/** IMDS, Cloud Shell and Azure Arc: one form of answers, and three ways to ask. */

const orders = 'https://orders.example'
const marked = { metadata: 'true' }

let service: TestService
let agent: TestAgent
let arcAgent: TestAgent
let arcPlace: { readonly keyFolder: string; readonly himds: string }

const started = async (shapes: AgentFile['shapes']) =>
  startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    file: (written) => ({ ...written, shapes, anyLocalProcess: 'accept' }),
    arcPlace,
  })

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-arc-'))
  arcPlace = { keyFolder: join(folder, 'tokens'), himds: join(folder, 'himds') }
  mkdirSync(arcPlace.keyFolder)
  service = await startTestService()
  agent = await started({ imds: {}, cloudShell: {} })
  arcAgent = await started({ arc: {} })
})
afterAll(async () => {
  await agent.stop()
  await arcAgent.stop()
  await service.stop()
  rmSync(dirname(arcPlace.keyFolder), { recursive: true })
})

function expectGiven({ status, body }: AgentAnswer) {
  expect(status, JSON.stringify(body)).toBe(200)
  const { access_token: token, ...rest } = body
  expect(decodeJwt(String(token))).toMatchObject({ aud: orders, tid: cast.fabrikam })
  const digits = expect.stringMatching(/^\d+$/) as string
  expect(rest).toEqual({
    expires_in: digits,
    expires_on: digits,
    ext_expires_in: digits,
    not_before: digits,
    resource: orders,
    token_type: 'Bearer',
  })
}

describe('IMDS', () => {
  const path = '/metadata/identity/oauth2/token'
  const query = `api-version=2018-02-01&resource=${orders}`

  test('gives texts for numbers, with and without a slash', async () => {
    expectGiven(await agent.ask(`GET ${path}?${query}`, marked))
    expectGiven(await agent.ask(`GET ${path}/?${query}`, { Metadata: 'True' }))
  })

  test('answers the probe of clients at once, which have no header and no query', async () => {
    const { status, body } = await agent.ask(`GET ${path}`)
    expect({ status, body }).toEqual({
      status: 400,
      body: {
        error: 'invalid_request',
        error_description: 'bad_request_102 Required metadata header not specified',
      },
    })
  })

  test.for([
    [`GET ${path}?${query}`, { metadata: 'false' }, 400, 'invalid_request'],
    [`GET ${path}?${query}`, { ...marked, 'x-forwarded-for': '10.0.0.1' }, 400, 'invalid_request'],
    [`GET ${path}?resource=${orders}`, marked, 400, 'invalid_request'],
    [`GET ${path}?api-version=2017-04-02&resource=${orders}`, marked, 400, 'invalid_request'],
    [`GET ${path}?api-version=2018-02-01`, marked, 400, 'invalid_request'],
    [`GET ${path}?${query}&object_id=${cast.eventsClientId}`, marked, 400, 'invalid_request'],
    [`GET ${path}?${query}&client_id=${cast.eventsClientId}`, marked, 400, 'invalid_request'],
    [
      `GET ${path}?api-version=2018-02-01&resource=https://a.example`,
      marked,
      400,
      'invalid_resource',
    ],
    [
      `GET ${path}?api-version=2018-02-01&resource=https://vault.azure.net`,
      marked,
      403,
      'unauthorized_client',
    ],
    [`POST ${path}?${query}`, marked, 405, 'invalid_request'],
  ] as const)('answers %s with %o as %i %s', async ([request, headers, status, error]) => {
    const answer = await agent.ask(request, headers)
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual({ error, error_description: expect.any(String) as string })
  })
})

describe('Cloud Shell', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }

  test('takes the resource in a form', async () => {
    const body = `resource=${encodeURIComponent(orders)}`
    expectGiven(await agent.ask('POST /oauth2/token', { ...marked, ...form }, body))
    expect(agent.agent.variables['MSI_ENDPOINT']).toBe(`${agent.agent.origin}/oauth2/token`)
    expect(agent.agent.variables['MSI_SECRET']).toBeUndefined()
  })

  test('gives nothing without its header, for another method, or for no resource', async () => {
    const body = `resource=${encodeURIComponent(orders)}`
    expect((await agent.ask('POST /oauth2/token', form, body)).status).toBe(400)
    expect((await agent.ask(`GET /oauth2/token?${body}`, marked)).status).toBe(405)
    expect(
      (await agent.ask('POST /oauth2/token', { ...marked, ...form }, 'resource=')).status,
    ).toBe(400)
  })
})

/** Programs look for this port alone, and any connection of this machine may have been given it for a while. */
async function whenPortIsFree<T>(start: () => Promise<T>): Promise<T> {
  for (let triesLeft = 290; ; triesLeft -= 1) {
    try {
      return await start()
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (!isTaken || triesLeft === 0) throw error
      await delay(1000)
    }
  }
}

describe('the virtual machine extension that was retired', () => {
  const asked = `/oauth2/token?resource=${encodeURIComponent(orders)}`
  let extension: TestAgent
  beforeAll(async () => {
    const ownToken = await service.callerToken('fabrikam-orders')
    extension = await whenPortIsFree(() =>
      startTestAgent({
        origin: service.origin,
        clock: service.clock,
        ownToken,
        file: (written) => ({
          ...written,
          listen: { port: 50_342 },
          shapes: { vmExtension: {} },
          anyLocalProcess: 'accept',
        }),
      }),
    )
    return () => extension.stop()
  }, 300_000)

  test('takes the resource in the query, or in a form, at the port that its clients know', async () => {
    expect(extension.agent.origin).toBe('http://127.0.0.1:50342')
    expect(extension.agent.variables).toEqual({})
    const host = 'localhost:50342'
    expectGiven(await extension.ask(`GET ${asked}`, { ...marked, host }))
    const body = `resource=${encodeURIComponent(orders)}`
    expectGiven(await extension.ask('POST /oauth2/token', marked, body))
  })

  test('gives nothing without its header, for another method, or to a browser', async () => {
    expect((await extension.ask(`GET ${asked}`)).status).toBe(400)
    expect((await extension.ask(`PUT ${asked}`, marked)).status).toBe(405)
    const origin = 'http://localhost:50342'
    expect((await extension.ask(`GET ${asked}`, { ...marked, origin })).status).toBe(403)
  })
})

test.for([
  ['Cloud Shell', 'POST /oauth2/token'],
  // Without a version, so that no key is made.
  ['Azure Arc', 'GET /arc/metadata/identity/oauth2/token'],
] as const)(
  '%s is not answered under a name that is not of loopback, nor to a browser',
  async ([shape, request]) => {
    const asked = shape === 'Azure Arc' ? arcAgent : agent
    const before = readdirSync(arcPlace.keyFolder)
    const head = `${request} HTTP/1.1\r\nMetadata: true\r\nConnection: close\r\n`
    const answerTo = (lines: string) => sendRaw(asked.agent.origin, `${head}${lines}\r\n\r\n`)
    const rebound = await answerTo('Host: attacker.example')
    expect(rebound).toMatch(/^HTTP\/1\.1 403 [^]*The Host header must name loopback\./)
    const page = await answerTo('Host: 127.0.0.1\r\nOrigin: null')
    expect(page).toMatch(/^HTTP\/1\.1 403 [^]*Browsers are not answered\./)
    expect(readdirSync(arcPlace.keyFolder)).toEqual(before)
    // There is something that would have been answered.
    expect(await answerTo('Host: 127.0.0.1')).toMatch(/^HTTP\/1\.1 400 /)
  },
)

describe('Azure Arc', () => {
  const asked = `GET /arc/metadata/identity/oauth2/token?api-version=2020-06-01&resource=${orders}`

  async function challenged(): Promise<string> {
    const { status, headers } = await arcAgent.ask(asked, marked)
    expect(status).toBe(401)
    return /^Basic realm=(.+)$/.exec(String(headers['www-authenticate']))?.[1] ?? ''
  }
  const show = (key: string) => arcAgent.ask(asked, { ...marked, authorization: `Basic ${key}` })

  test('gives a token for what is in the file that it names, once', async () => {
    const file = await challenged()
    expect([dirname(file), basename(file)]).toEqual([
      arcPlace.keyFolder,
      expect.stringMatching(/^[0-9a-f-]{36}\.key$/),
    ])
    const { size, mode } = statSync(file)
    expect(size).toBeLessThanOrEqual(4096)
    expect(mode & 0o777).toBe(0o600)
    const key = readFileSync(file, 'utf8')
    expectGiven(await show(key))
    expect(readdirSync(arcPlace.keyFolder)).toEqual([])
    expect((await show(key)).status).toBe(403)
  })

  test('lets the group of the folder read, where the file says so, and nobody else', async () => {
    const { uid, gid: before } = statSync(arcPlace.keyFolder)
    const groupId = ownGroup()
    chownSync(arcPlace.keyFolder, uid, groupId)
    const another = await started({ arc: { readableBy: 'group' } })
    expect(readdirSync(arcPlace.keyFolder)).toEqual([])
    const { headers } = await another.ask(asked, marked)
    const file = String(headers['www-authenticate']).replace('Basic realm=', '')
    expect({ mode: statSync(file).mode & 0o777, gid: statSync(file).gid }).toEqual({
      mode: 0o640,
      gid: groupId,
    })
    const authorization = `Basic ${readFileSync(file, 'utf8')}`
    expectGiven(await another.ask(asked, { ...marked, authorization }))
    await another.stop()
    chownSync(arcPlace.keyFolder, uid, before)
  })

  test.each(['2019-11-01', '2020-06-01'])('answers clients of api-version %s', async (version) => {
    const request = asked.replace('2020-06-01', version)
    const { headers } = await arcAgent.ask(request, marked)
    const key = readFileSync(
      String(headers['www-authenticate']).replace('Basic realm=', ''),
      'utf8',
    )
    expectGiven(await arcAgent.ask(request, { ...marked, authorization: `Basic ${key}` }))
  })

  test('answers no other api-version, and leaves no key for one', async () => {
    const { status } = await arcAgent.ask(asked.replace('2020-06-01', '2021-01-01'), marked)
    expect(status).toBe(400)
    expect(readdirSync(arcPlace.keyFolder)).toEqual([])
  })

  test('repeats the identity that a client has named, without which it takes no answer', async () => {
    const northwind = 'https://northwind.orders.example'
    const named = `${asked.replace(orders, northwind)}&client_id=${cast.eventsClientId}`
    const { headers } = await arcAgent.ask(named, marked)
    const key = readFileSync(
      String(headers['www-authenticate']).replace('Basic realm=', ''),
      'utf8',
    )
    const { body } = await arcAgent.ask(named, { ...marked, authorization: `Basic ${key}` })
    expect(body).toMatchObject({ client_id: cast.eventsClientId, resource: northwind })
  })

  test.runIf(process.geteuid?.() === 0)('gives no key to another user, as root', async () => {
    for (const folder of [arcPlace.keyFolder, dirname(arcPlace.keyFolder)]) chmodSync(folder, 0o755)
    const file = await challenged()
    const read = (uid: number) =>
      spawnSync('cat', [file], { uid, gid: uid, cwd: '/', encoding: 'utf8' })
    expect(read(65_534)).toMatchObject({ status: 1, stdout: '' })
    const { stdout } = read(0)
    expectGiven(await show(stdout))
  })

  test('names another file each time, and gives nothing for a guess or an old key', async () => {
    const [one, other] = [await challenged(), await challenged()]
    expect(one).not.toBe(other)
    expect((await show('guess')).status).toBe(403)
    expect((await show(basename(one, '.key'))).status).toBe(403)
    const old = readFileSync(one, 'utf8')
    service.emulator.clock.shift(61)
    expect((await show(old)).status).toBe(403)
    await expect.poll(() => readdirSync(arcPlace.keyFolder)).toEqual([])
  })

  test('gives nothing without its header', async () => {
    expect((await arcAgent.ask(asked)).status).toBe(400)
  })

  test('keeps few keys, however many are asked for, and none after its end', async () => {
    const another = await started({ arc: {} })
    await Promise.all(Array.from({ length: 100 }, () => another.ask(asked, marked)))
    expect(readdirSync(arcPlace.keyFolder)).toHaveLength(64)
    await another.stop()
    expect(readdirSync(arcPlace.keyFolder)).toEqual([])
  })

  test('removes what an agent that was killed has left, and nothing else', async () => {
    const name = (end: string) =>
      join(arcPlace.keyFolder, `0190a5b0-0000-4000-8000-00000000000${end}`)
    const [left, fresh, other] = [name('1.key'), name('2.key'), name('3.txt')]
    for (const file of [left, fresh, other]) writeFileSync(file, 'x')
    const twoMinutesAgo = service.clock.nowSeconds() - 120
    for (const file of [left, other]) utimesSync(file, twoMinutesAgo, twoMinutesAgo)
    utimesSync(fresh, service.clock.nowSeconds(), service.clock.nowSeconds())
    const another = await started({ arc: {} })
    expect(readdirSync(arcPlace.keyFolder).map((file) => join(arcPlace.keyFolder, file))).toEqual([
      fresh,
      other,
    ])
    await another.stop()
    for (const file of [fresh, other]) rmSync(file)
  })

  test('does not start without a folder for its keys', async () => {
    const place = arcPlace
    arcPlace = { ...place, keyFolder: join(place.keyFolder, 'nowhere') }
    await expect(started({ arc: {} })).rejects.toThrow('ENOENT')
    arcPlace = place
  })

  test("does not start beside Azure's own agent", async () => {
    writeFileSync(arcPlace.himds, '')
    await expect(started({ arc: {} })).rejects.toThrow("Azure's agent is on this machine")
    rmSync(arcPlace.himds)
  })
})
