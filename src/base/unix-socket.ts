import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs'
import { connect, type Server } from 'node:net'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { isTooLongForSocket, socketDraft } from './unix-socket-path.ts'
import { UnixSocketError, type UnixSocketErrorCode } from './unix-socket-error.ts'

/** Where a server listens, and who may connect. */
export interface UnixSocketPlace {
  readonly path: string
  /** Root may always. `owner`: the user of this process alone; `group`: the group of the folder too. */
  readonly openTo: 'owner' | 'group'
  /** That named the path, for messages. */
  readonly setting: string
}

/**
 * Listens on a Unix socket that others than those it is open to cannot connect to, at no moment, in a folder
 * that nobody else can write or put another in the place of: so another's socket cannot be in its place. What
 * a process that was killed has left there is replaced.
 *
 * @returns What removes it, once the server is closed: never another one that is there by then.
 * @throws UnixSocketError when it cannot, or somebody listens there.
 */
export async function listenOnUnixSocket(
  server: Server,
  place: UnixSocketPlace,
): Promise<() => void> {
  const { path, setting } = place
  const folder = dirname(path)
  if (isTooLongForSocket(path)) throw new UnixSocketError('SOCKET_PATH_LONG', setting, path)
  assertOwn(folder, place)
  await assertDeserted(place)
  try {
    await bindIn(folder, server, place)
  } catch (error) {
    server.close()
    if (error instanceof UnixSocketError) throw error
    throw new UnixSocketError('SOCKET_FAILED', setting, path, error)
  }
  const { ino } = lstatSync(path)
  return () => {
    removeIfStill(path, ino)
  }
}

/** Whoever can write the folder can put a socket of its own there, and be told what was meant for us. */
function assertOwn(folder: string, { path, setting }: UnixSocketPlace): void {
  assertThere(folder, { path, setting })
  if (leadsToOwn(resolve(folder))) return
  throw new UnixSocketError('SOCKET_FOLDER_OPEN', setting, path)
}

/** As the system goes, one name and one link after the other: each is looked up in a folder where another could be put. */
function leadsToOwn(folder: string): boolean {
  const left = namesIn(folder)
  let at = '/'
  let links = 0
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (!keepsItsOwn(lstatSync(at))) return false
    const next = join(at, name)
    const stats = lstatSync(next)
    if (!isOurs(stats)) return false
    if (stats.isSymbolicLink()) {
      links += 1
      if (links > linksMax) return false
      const target = readlinkSync(next)
      if (isAbsolute(target)) at = '/'
      left.unshift(...namesIn(target))
    } else at = next
  }
  const stats = lstatSync(at)
  return isOurs(stats) && !isWritableByOthers(stats)
}

/** The system's own bound (path_resolution(7)). */
const linksMax = 40

/** Of them, `..` leads to the folder that is really above. */
const namesIn = (path: string): string[] =>
  path.split('/').filter((name) => name !== '' && name !== '.')

const isOurs = ({ uid }: Stats) => uid === 0 || uid === process.geteuid?.()
const isWritableByOthers = ({ mode }: Stats) => (mode & 0o022) !== 0

/** Nobody else can put another in the place of what is ours in it: for that is the sticky bit of `/tmp`. */
const keepsItsOwn = (stats: Stats): boolean =>
  isOurs(stats) && (!isWritableByOthers(stats) || (stats.mode & 0o1000) !== 0)

function assertThere(folder: string, { path, setting }: Omit<UnixSocketPlace, 'openTo'>): void {
  try {
    statSync(folder)
  } catch (error) {
    throw new UnixSocketError('SOCKET_FOLDER_MISSING', setting, path, error)
  }
}

async function assertDeserted({ path, setting }: UnixSocketPlace): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  const fault = async (): Promise<UnixSocketErrorCode | undefined> => {
    if (!stats.isSocket() || !isOurs(stats)) return 'SOCKET_NOT_OURS'
    return (await isAnswered(path)) ? 'SOCKET_TAKEN' : undefined
  }
  const code = await fault()
  if (code !== undefined) throw new UnixSocketError(code, setting, path)
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
async function bindIn(folder: string, server: Server, place: UnixSocketPlace): Promise<void> {
  const own = mkdtempSync(join(folder, socketDraft.prefix))
  try {
    const made = join(own, socketDraft.name)
    await bound(server, made)
    if (place.openTo === 'group') giveToGroupOf(folder, made, place)
    else chmodSync(made, 0o600)
    renameSync(made, place.path)
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

function giveToGroupOf(folder: string, made: string, { path, setting }: UnixSocketPlace): void {
  const { gid } = statSync(folder)
  try {
    chownSync(made, lstatSync(made).uid, gid)
  } catch (error) {
    throw new UnixSocketError('SOCKET_GROUP_FOREIGN', setting, path, error)
  }
  chmodSync(made, 0o660)
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
