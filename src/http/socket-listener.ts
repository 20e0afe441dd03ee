import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { drain } from '../base/drain.ts'
import { type Listener, serverOptions } from './listener.ts'
import { SocketError } from './socket-error.ts'

/** Operators are few. */
const connectionsMax = 16

/**
 * Listens on a Unix socket that only the user of this process, and root, can open (mode 0600), in a folder
 * that nobody else can write or put another in the place of: so another's socket cannot be in its place. What
 * a process that was killed has left there is replaced.
 *
 * @throws SocketError when it cannot, or somebody listens there.
 */
export async function listenOnSocket(answer: RequestListener, path: string): Promise<Listener> {
  const folder = dirname(path)
  assertOwn(folder, path)
  await assertDeserted(path)
  const server = createServer(serverOptions, answer)
  server.maxConnections = connectionsMax
  try {
    await bindAt(path, server, folder)
  } catch (error) {
    server.close()
    throw new SocketError('SOCKET_FAILED', path, error)
  }
  const { ino } = lstatSync(path)
  return {
    origin: `unix:${path}`,
    drain: async (deadlineMs) => {
      await drain(server, deadlineMs)
      removeIfStill(path, ino)
    },
  }
}

/** Whoever can write the folder can put a socket of its own there, and be told what was meant for us. */
function assertOwn(folder: string, path: string): void {
  const stats = statOf(folder, path)
  const isOwn = isOurs(stats) && isOurs(lstatSync(folder)) && !isWritableByOthers(stats)
  // By the way that is written, and by the one that links make of it.
  const above = [...foldersAbove(resolve(folder)), ...foldersAbove(realpathSync(folder))]
  if (!isOwn || !above.every(keepsItsFolders)) throw new SocketError('SOCKET_FOLDER_OPEN', path)
}

const isOurs = ({ uid }: Stats) => uid === 0 || uid === process.getuid?.()
const isWritableByOthers = ({ mode }: Stats) => (mode & 0o022) !== 0

/** Nobody else can put another folder in the place of one that is ours: for that is the sticky bit of `/tmp`. */
function keepsItsFolders(folder: string): boolean {
  const stats = statSync(folder)
  const isKept = !isWritableByOthers(stats) || (stats.mode & 0o1000) !== 0
  return isKept && isOurs(stats) && isOurs(lstatSync(folder))
}

function foldersAbove(folder: string): readonly string[] {
  const above = dirname(folder)
  return above === folder ? [] : [above, ...foldersAbove(above)]
}

function statOf(folder: string, path: string): Stats {
  try {
    return statSync(folder)
  } catch (error) {
    throw new SocketError('SOCKET_FOLDER_MISSING', path, error)
  }
}

async function assertDeserted(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isSocket()) throw new SocketError('SOCKET_NOT_OURS', path)
  if (await isAnswered(path)) throw new SocketError('SOCKET_TAKEN', path)
}

/** A socket that nobody listens on any more refuses connections. */
const isAnswered = (path: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })

/** In a folder of its own first, which nobody else can enter: at no moment can others open it. */
async function bindAt(path: string, server: Server, folder: string): Promise<void> {
  const own = mkdtempSync(join(folder, '.countersign-'))
  try {
    const made = join(own, basename(path))
    await bound(server, made)
    chmodSync(made, 0o600)
    renameSync(made, path)
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Somebody else's may be there by now. */
function removeIfStill(path: string, ino: number): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats?.ino === ino) rmSync(path, { force: true })
}
