import { socketPathLimits } from './unix-socket-path.ts'

export type UnixSocketErrorCode =
  | 'SOCKET_FOLDER_MISSING'
  /** Others than this user and root can write it, or put another in its place. */
  | 'SOCKET_FOLDER_OPEN'
  /** Something that is no socket of ours is there, and is not removed. */
  | 'SOCKET_NOT_OURS'
  /** Another process listens there. */
  | 'SOCKET_TAKEN'
  /** The system takes no name as long as this one. */
  | 'SOCKET_PATH_LONG'
  /** It is to be the group's of its folder, and this user is not in that. */
  | 'SOCKET_GROUP_FOREIGN'
  | 'SOCKET_FAILED'

const remedies: Readonly<Record<UnixSocketErrorCode, string>> = {
  SOCKET_FOLDER_MISSING: 'its folder is not there: make one for this program alone',
  SOCKET_FOLDER_OPEN:
    'its folder, and those above it, must belong to root or the user of this program, and nobody else may write them',
  SOCKET_NOT_OURS: 'something else is there: name another path, or remove it',
  SOCKET_TAKEN: 'another process listens there: stop it, or name another path',
  SOCKET_PATH_LONG: `the system takes ${socketPathLimits}: name a shorter path`,
  SOCKET_GROUP_FOREIGN:
    'its folder is of a group that this user is not in: give the folder to one of its groups',
  SOCKET_FAILED: 'the cause has the words of the system',
}

/** A Unix socket could not be opened; the message says which setting it is, and what to do. */
export class UnixSocketError extends Error {
  override readonly name = 'UnixSocketError'
  readonly code: UnixSocketErrorCode

  /** @param setting That named the path, as in `listen.socket`. */
  constructor(code: UnixSocketErrorCode, setting: string, path: string, cause?: unknown) {
    super(`\`${setting}\` cannot be ${path}: ${remedies[code]}`, { cause })
    this.code = code
  }
}
