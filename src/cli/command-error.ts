/** What keeps a command from its work; the message is said to the operator as it is. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
