export type SocketErrorCode =
  | 'SOCKET_FOLDER_MISSING'
  /** Others than this user and root can write it, or put another in its place. */
  | 'SOCKET_FOLDER_OPEN'
  /** Something that is no socket is there, and is not removed. */
  | 'SOCKET_NOT_OURS'
  /** Another process listens there. */
  | 'SOCKET_TAKEN'
  | 'SOCKET_FAILED'

const remedies: Readonly<Record<SocketErrorCode, string>> = {
  SOCKET_FOLDER_MISSING: 'its folder is not there: make one for the service alone',
  SOCKET_FOLDER_OPEN:
    'its folder, and those above it, must belong to root or the user of the service, and nobody else may write them',
  SOCKET_NOT_OURS: 'something else is there: name another path, or remove it',
  SOCKET_TAKEN: 'another process listens there: stop it, or name another path',
  SOCKET_FAILED: 'the cause has the words of the system',
}

/** The local socket could not be opened; the message says which setting it is, and what to do. */
export class SocketError extends Error {
  override readonly name = 'SocketError'
  readonly code: SocketErrorCode

  constructor(code: SocketErrorCode, path: string, cause?: unknown) {
    super(`\`listen.revocationSocket\` cannot be ${path}: ${remedies[code]}`, { cause })
    this.code = code
  }
}
