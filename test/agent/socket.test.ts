import { execFile } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ownGroup } from '../support/own-group.ts'
import { type AgentFile, startTestAgent, type TestAgent } from '../support/test-agent.ts'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

/** An agent on a Unix socket: whoever may open it is answered, and nobody else. */

const orders = 'https://orders.example'
const asked = `/msi/token?api-version=2019-08-01&resource=${orders}`
const metadata = `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${orders}`
const marked = { metadata: 'true' }

const userId = process.geteuid?.() ?? 0
const nobody = 65_534

let service: TestService
let folder: string
let socket: string
const agents: TestAgent[] = []

beforeAll(async () => {
  service = await startTestService()
})
afterAll(() => service.stop())
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-agent-'))
  socket = join(folder, 'agent.sock')
})
afterEach(async () => {
  await Promise.all(agents.splice(0).map((one) => one.stop()))
  rmSync(folder, { recursive: true, force: true })
})

async function start(more: Partial<AgentFile> = {}, openTo: 'owner' | 'group' = 'owner') {
  const agent = await startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    // Nobody says `anyLocalProcess` here: the socket has a mode.
    file: (written) => ({
      ...written,
      listen: { socket, openTo },
      shapes: { appService: {}, imds: {} },
      ...more,
    }),
  })
  agents.push(agent)
  return agent
}

const headerOf = ({ agent: { variables } }: TestAgent) => ({
  'x-identity-header': variables['IDENTITY_HEADER'] ?? '',
})

/** What curl prints, and what it ends with: 7 where it cannot connect. */
const curl = (args: readonly string[], as: { uid?: number; gid?: number } = {}) =>
  new Promise<{ readonly code: number; readonly text: string }>((resolve) => {
    const line = ['-sS', '--unix-socket', socket, ...args]
    execFile('curl', line, { cwd: '/', ...as }, (error, stdout) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, text: stdout })
    })
  })

const tokenIn = (text: string) =>
  decodeJwt((JSON.parse(text) as { access_token: string }).access_token)

describe('an agent on a socket', () => {
  test('tells programs the socket and the secret, and no URL that could be taken for a port', async () => {
    const agent = await start()
    expect(agent.agent.origin).toBe(`unix:${socket}`)
    expect(agent.agent.variables).toEqual({
      COUNTERSIGN_AGENT_SOCKET: socket,
      IDENTITY_HEADER: expect.stringMatching(/^[0-9A-F]{64}$/) as string,
    })
  })

  test('gives curl the token of the mapping, as App Service does and as a virtual machine does', async () => {
    const agent = await start()
    const header = `X-IDENTITY-HEADER: ${headerOf(agent)['x-identity-header']}`
    const given = [
      await curl(['-H', header, `http://localhost${asked}`]),
      await curl(['-H', 'Metadata: true', `http://localhost${metadata}`]),
    ]
    for (const { text } of given) {
      expect(tokenIn(text)).toMatchObject({ aud: orders, tid: cast.fabrikam })
    }
  })

  test('asks for the secret of App Service there too', async () => {
    const agent = await start()
    expect((await agent.ask(`GET ${asked}`, headerOf(agent))).status).toBe(200)
    expect((await agent.ask(`GET ${asked}`)).status).toBe(401)
    expect((await agent.ask(`GET ${asked}`, { 'x-identity-header': 'guess' })).status).toBe(401)
    expect((await agent.ask(`GET ${metadata}`)).status).toBe(400)
  })

  test('answers there under a name of loopback alone, and no browser', async () => {
    const agent = await start()
    for (const path of [asked, metadata]) {
      const shown = { ...headerOf(agent), ...marked }
      const ask = (more: Readonly<Record<string, string>>) =>
        agent.ask(`GET ${path}`, { ...shown, ...more })
      expect((await ask({ host: 'localhost' })).status).toBe(200)
      const other = await ask({ host: 'attacker.example' })
      const answer = [other.status, other.body['error_description']]
      expect(answer).toEqual([403, 'The Host header must name loopback.'])
      for (const header of ['origin', 'sec-fetch-site']) {
        const { status, body } = await ask({ [header]: 'null' })
        expect([status, body['error_description']]).toEqual([403, 'Browsers are not answered.'])
      }
    }
    expect((await agent.ask(`GET ${metadata}`, { ...marked, 'x-forwarded-for': 'a' })).status).toBe(
      400,
    )
  })

  test('is for its own user alone, and leaves nothing behind', async () => {
    const agent = await start()
    expect(lstatSync(socket).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['agent.sock'])
    await agent.stop()
    agents.splice(0)
    expect(existsSync(socket)).toBe(false)
  })

  test('is for the group of its folder where the file says so', async () => {
    chownSync(folder, userId, ownGroup())
    await start({}, 'group')
    const { mode, gid } = lstatSync(socket)
    expect([mode & 0o777, gid]).toEqual([0o660, ownGroup()])
  })

  describe.runIf(userId === 0)('asked by another user, as root', () => {
    const asNobody = (gid = nobody) =>
      curl(['-H', 'Metadata: true', `http://localhost${metadata}`], { uid: nobody, gid })

    test('gives nothing, whatever the program knows', async () => {
      chmodSync(folder, 0o755)
      const agent = await start()
      const header = `X-IDENTITY-HEADER: ${headerOf(agent)['x-identity-header']}`
      const as = { uid: nobody, gid: nobody }
      expect(await curl(['-H', header, `http://localhost${asked}`], as)).toEqual({
        code: 7,
        text: '',
      })
      expect(await asNobody()).toEqual({ code: 7, text: '' })
      expect(
        tokenIn((await curl(['-H', 'Metadata: true', `http://localhost${metadata}`])).text),
      ).toMatchObject({ aud: orders })
    })

    test('gives to the group of its folder, and to no other', async () => {
      chownSync(folder, userId, ownGroup())
      chmodSync(folder, 0o750)
      await start({}, 'group')
      expect(await asNobody()).toEqual({ code: 7, text: '' })
      expect(tokenIn((await asNobody(ownGroup())).text)).toMatchObject({ aud: orders })
    })
  })

  test('does not start where another one answers, which goes on', async () => {
    const first = await start()
    await expect(start()).rejects.toThrow(
      `\`listen.socket\` cannot be ${socket}: another process listens there`,
    )
    expect((await first.ask(`GET ${metadata}`, marked)).status).toBe(200)
  })
})
