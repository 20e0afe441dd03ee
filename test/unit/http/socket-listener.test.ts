import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IncomingMessage } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Listener } from '../../../src/http/listener.ts'
import { listenOnSocket } from '../../../src/http/socket-listener.ts'

let folder: string
let path: string
const open: Listener[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-socket-'))
  path = join(folder, 'revocations.sock')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.drain(0)))
  rmSync(folder, { recursive: true, force: true })
})

const listening = async (text = 'yes') => {
  const listener = await listenOnSocket((_, response) => response.end(text), path)
  open.push(listener)
  return listener
}

async function asked(): Promise<string> {
  const outgoing = request({ socketPath: path, path: '/', agent: false }).end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return String((await response.setEncoding('utf8').toArray())[0])
}

describe('a local socket', () => {
  test('is for its own user alone, leaves nothing beside it, and goes when it is closed', async () => {
    const listener = await listening()
    expect(await asked()).toBe('yes')
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['revocations.sock'])
    await listener.drain(0)
    expect(readdirSync(folder)).toEqual([])
  })

  test.runIf(process.getuid?.() === 0)('cannot be opened by another user', async () => {
    chmodSync(folder, 0o755)
    await listening()
    const script = `require('node:net').connect(process.argv[1]).on('error', ({ code }) => console.log(code))`
    const nobody = { uid: 65_534, gid: 65_534, encoding: 'utf8', cwd: '/' } as const
    expect(spawnSync(process.execPath, ['-e', script, path], nobody).stdout).toBe('EACCES\n')
  })

  test('takes the place of one that nobody listens on any more', async () => {
    leaveBehind()
    expect(lstatSync(path).isSocket()).toBe(true)
    await listening()
    expect(await asked()).toBe('yes')
  })

  test('never takes that of one that is listened on, which goes on', async () => {
    await listening('first')
    await expect(listening('second')).rejects.toMatchObject({ code: 'SOCKET_TAKEN' })
    expect(await asked()).toBe('first')
  })

  test('that is closed leaves the one alone that came after it', async () => {
    const first = await listening('first')
    rmSync(path)
    await listening('second')
    await first.drain(0)
    expect(await asked()).toBe('second')
  })

  test('never takes the place of what is no socket', async () => {
    writeFileSync(path, 'kept')
    await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_NOT_OURS' })
    expect(readFileSync(path, 'utf8')).toBe('kept')
  })

  test.each([
    ['its group', 0o770],
    ['everybody', 0o707],
    ['everybody who leaves what is of others', 0o1777],
  ])('is not made in a folder that %s can write', async (_, mode) => {
    chmodSync(folder, mode)
    await expect(listening()).rejects.toMatchObject({
      code: 'SOCKET_FOLDER_OPEN',
      message: expect.stringContaining('`listen.revocationSocket` cannot be') as string,
    })
    expect(readdirSync(folder)).toEqual([])
  })

  describe('below a folder that others can write', () => {
    beforeEach(() => {
      mkdirSync(join(folder, 'own'), { mode: 0o700 })
    })

    test.each([
      ['its group', 0o770],
      ['everybody', 0o777],
    ])('is not made where that is %s, who can put another in its place', async (_, mode) => {
      path = join(folder, 'own', 'revocations.sock')
      chmodSync(folder, mode)
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
      expect(readdirSync(join(folder, 'own'))).toEqual([])
    })

    test('is not made where such a folder has the link to its own', async () => {
      const open = join(folder, 'open')
      mkdirSync(open)
      chmodSync(open, 0o777)
      symlinkSync(join(folder, 'own'), join(open, 'link'))
      path = join(open, 'link', 'revocations.sock')
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
    })

    test.runIf(process.getuid?.() === 0)('is not made by the link of somebody else', async () => {
      const open = join(folder, 'open')
      mkdirSync(open)
      chmodSync(open, 0o1777)
      symlinkSync(join(folder, 'own'), join(open, 'link'))
      path = join(open, 'link', 'revocations.sock')
      const listener = await listening()
      await listener.drain(0)
      lchownSync(join(open, 'link'), 65_534, 65_534)
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
    })

    test('is made where each keeps what it has there, as in /tmp', async () => {
      path = join(folder, 'own', 'revocations.sock')
      chmodSync(folder, 0o1777)
      await listening()
      expect(await asked()).toBe('yes')
    })
  })

  test('is not made where there is no folder, or with a name that is too long', async () => {
    path = join(folder, 'none', 'revocations.sock')
    await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_MISSING' })
    mkdirSync(join(folder, 'a'.repeat(100)))
    path = join(folder, 'a'.repeat(100), 'revocations.sock')
    await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FAILED' })
    expect(existsSync(path)).toBe(false)
  })
})

/** As a process does that is killed. */
function leaveBehind(): void {
  const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script, path])
}
