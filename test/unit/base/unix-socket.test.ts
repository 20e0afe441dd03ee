import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
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
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { drain } from '../../../src/base/drain.ts'
import { isTooLongForSocket } from '../../../src/base/unix-socket-path.ts'
import { listenOnUnixSocket } from '../../../src/base/unix-socket.ts'
import { ownGroup } from '../../support/own-group.ts'

const userId = process.geteuid?.() ?? 0

interface Open {
  close(): Promise<void>
}

let folder: string
let path: string
const open: Open[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-socket-'))
  path = join(folder, 'a.sock')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
  rmSync(folder, { recursive: true, force: true })
})

const listening = async (text = 'yes', openTo: 'owner' | 'group' = 'owner'): Promise<Open> => {
  const server = createServer((_, response) => response.end(text))
  const remove = await listenOnUnixSocket(server, { path, openTo, setting: 'listen.socket' })
  const listener = {
    close: async () => {
      await drain(server, 0)
      remove()
    },
  }
  open.push(listener)
  return listener
}

async function asked(): Promise<string> {
  const outgoing = request({ socketPath: path, path: '/', agent: false }).end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return String((await response.setEncoding('utf8').toArray())[0])
}

describe('a Unix socket', () => {
  test('is for its own user alone, leaves nothing beside it, and goes when it is closed', async () => {
    const listener = await listening()
    expect(await asked()).toBe('yes')
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['a.sock'])
    await listener.close()
    expect(readdirSync(folder)).toEqual([])
  })

  test('of a group has that of its folder, and nobody else', async () => {
    chownSync(folder, userId, ownGroup())
    await listening('yes', 'group')
    expect(await asked()).toBe('yes')
    const { mode, gid } = lstatSync(path)
    expect([mode & 0o777, gid]).toEqual([0o660, ownGroup()])
    expect(readdirSync(folder)).toEqual(['a.sock'])
  })

  describe.runIf(userId === 0)('to another user, as root', () => {
    const nobody = 65_534
    const opensAs = (gid: number) => {
      const script = `require('node:net').connect(process.argv[1]).on('error', ({ code }) => console.log(code)).on('connect', () => { console.log('open'); process.exit() })`
      const as = { uid: nobody, gid, encoding: 'utf8', cwd: '/' } as const
      return spawnSync(process.execPath, ['-e', script, path], as).stdout
    }

    test('of its owner is closed', async () => {
      chmodSync(folder, 0o755)
      await listening()
      expect(opensAs(nobody)).toBe('EACCES\n')
    })

    test('of a group is open to whoever is in it, and to nobody else', async () => {
      chownSync(folder, userId, ownGroup())
      chmodSync(folder, 0o755)
      await listening('yes', 'group')
      expect(opensAs(ownGroup())).toBe('open\n')
      expect(opensAs(nobody)).toBe('EACCES\n')
    })

    test('of a group that its own user is not in is not made', async () => {
      chownSync(folder, nobody, ownGroup())
      process.seteuid?.(nobody)
      const making = listening('yes', 'group')
      const told = await making.catch((error: unknown) => error)
      process.seteuid?.(0)
      expect(told).toMatchObject({ code: 'SOCKET_GROUP_FOREIGN' })
      expect(readdirSync(folder)).toEqual([])
    })

    test('that is of somebody else is left alone', async () => {
      leaveBehind()
      lchownSync(path, nobody, nobody)
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_NOT_OURS' })
      expect(lstatSync(path).isSocket()).toBe(true)
    })
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
    await first.close()
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
      message: expect.stringContaining('`listen.socket` cannot be') as string,
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
      path = join(folder, 'own', 'a.sock')
      chmodSync(folder, mode)
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
      expect(readdirSync(join(folder, 'own'))).toEqual([])
    })

    test('is not made where such a folder has the link to its own', async () => {
      const open = join(folder, 'open')
      mkdirSync(open)
      chmodSync(open, 0o777)
      symlinkSync(join(folder, 'own'), join(open, 'link'))
      path = join(open, 'link', 'a.sock')
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
    })

    test.each<[string, number, boolean]>([
      ['everybody can write', 0o777, false],
      ['its group can write', 0o770, false],
      ['each keeps what is theirs', 0o1777, true],
      ['is its own', 0o755, true],
    ])('by links one behind the other, of which one is where %s', async (_, mode, isMade) => {
      const between = join(folder, 'between')
      mkdirSync(between)
      chmodSync(between, mode)
      symlinkSync(join(folder, 'own'), join(between, 'second'))
      symlinkSync('between/second', join(folder, 'first'))
      path = join(folder, 'first', 'a.sock')
      if (isMade) {
        await listening()
        expect(await asked()).toBe('yes')
      } else await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
    })

    test('is not made by a link that goes through such a folder and up again', async () => {
      const open = join(folder, 'open')
      mkdirSync(open)
      chmodSync(open, 0o777)
      mkdirSync(join(open, 'deeper'), { mode: 0o700 })
      symlinkSync('open/deeper/../../own', join(folder, 'first'))
      path = join(folder, 'first', 'a.sock')
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
      chmodSync(open, 0o755)
      await listening()
      expect(await asked()).toBe('yes')
    })

    test('is not made where links lead in a circle', async () => {
      symlinkSync('second', join(folder, 'first'))
      symlinkSync('first', join(folder, 'second'))
      path = join(folder, 'first', 'a.sock')
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_MISSING' })
    })

    test.runIf(process.getuid?.() === 0)('is not made by the link of somebody else', async () => {
      const open = join(folder, 'open')
      mkdirSync(open)
      chmodSync(open, 0o1777)
      symlinkSync(join(folder, 'own'), join(open, 'link'))
      path = join(open, 'link', 'a.sock')
      const listener = await listening()
      await listener.close()
      lchownSync(join(open, 'link'), 65_534, 65_534)
      await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_OPEN' })
    })

    test('is made where each keeps what it has there, as in /tmp', async () => {
      path = join(folder, 'own', 'a.sock')
      chmodSync(folder, 0o1777)
      await listening()
      expect(await asked()).toBe('yes')
    })
  })

  test('is not made where there is no folder', async () => {
    path = join(folder, 'none', 'a.sock')
    await expect(listening()).rejects.toMatchObject({ code: 'SOCKET_FOLDER_MISSING' })
  })

  test('is made with the longest name that the system takes, and not with a longer one', async () => {
    const room = 107 - Buffer.byteLength(folder) - 1
    path = join(folder, 'a'.repeat(room))
    await listening()
    expect(await asked()).toBe('yes')
    path = `${path}a`
    const told = await listening().catch((error: unknown) => error)
    expect(told).toMatchObject({ code: 'SOCKET_PATH_LONG' })
    expect(String(told)).toContain('the system takes 107 bytes at most, and 94 for its folder')
    expect(existsSync(path)).toBe(false)
  })

  test('is counted in bytes, and with what its folder needs while it is made', () => {
    expect(isTooLongForSocket(`/${'ä'.repeat(53)}`)).toBe(false)
    expect(isTooLongForSocket(`/${'ä'.repeat(54)}`)).toBe(true)
    expect(isTooLongForSocket(`/${'a'.repeat(93)}/s`)).toBe(false)
    expect(isTooLongForSocket(`/${'a'.repeat(94)}/s`)).toBe(true)
  })
})

/** As a process does that is killed. */
function leaveBehind(): void {
  const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script, path])
}
