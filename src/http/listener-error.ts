export type ListenerErrorCode =
  | 'LISTENER_PORT_TAKEN'
  /** No address of this machine, or a name that has none. */
  | 'LISTENER_HOST_UNKNOWN'
  | 'LISTENER_FORBIDDEN'
  | 'LISTENER_FAILED'

/** What the system calls it. */
const codes: ReadonlyMap<unknown, ListenerErrorCode> = new Map([
  ['EADDRINUSE', 'LISTENER_PORT_TAKEN'],
  ['EADDRNOTAVAIL', 'LISTENER_HOST_UNKNOWN'],
  ['ENOTFOUND', 'LISTENER_HOST_UNKNOWN'],
  ['EAI_AGAIN', 'LISTENER_HOST_UNKNOWN'],
  ['EACCES', 'LISTENER_FORBIDDEN'],
])

const remedies: Readonly<Record<ListenerErrorCode, string>> = {
  LISTENER_PORT_TAKEN: 'something else listens there: stop it, or name another port',
  LISTENER_HOST_UNKNOWN: 'it is no address of this machine: name one that is, or 0.0.0.0 for all',
  LISTENER_FORBIDDEN: 'the system does not let this process: name a port above 1023',
  LISTENER_FAILED: 'the cause has the words of the system',
}

/** A listener that could not be opened; the message says which section of the file it is, and what to do. */
export class ListenerError extends Error {
  override readonly name = 'ListenerError'
  readonly code: ListenerErrorCode

  /** @param section Of countersign.yaml. */
  constructor(
    section: 'listen' | 'machines',
    { host, port }: { readonly host: string; readonly port: number },
    cause: unknown,
  ) {
    const code = codeOf(cause)
    super(`\`${section}\` cannot have ${host}, port ${port}: ${remedies[code]}`, { cause })
    this.code = code
  }
}

const codeOf = (cause: unknown): ListenerErrorCode =>
  (cause instanceof Error && 'code' in cause ? codes.get(cause.code) : undefined) ??
  'LISTENER_FAILED'
