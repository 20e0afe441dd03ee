/** An error as the protected log shows it. */
export interface ProtectedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: ProtectedError
}

/** Of a message or a stack: enough to know it by, too little for what a peer may put into it. */
const textCharactersMax = 2048
const causesMax = 5

/**
 * What the log may know of an error: its name, code, text and causes. Libraries put answers of peers,
 * headers and whole targets into the members and texts of their errors; members are left out, and what
 * looks like a credential is taken out of the texts.
 */
export function protectedError(error: unknown, depth = 0): ProtectedError {
  if (!(error instanceof Error))
    return { type: typeof error, message: protectedText(String(error)) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    type: error.name,
    message: protectedText(error.message),
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: protectedText(error.stack) }),
    ...(error.cause === undefined || depth === causesMax
      ? {}
      : { cause: protectedError(error.cause, depth + 1) }),
  }
}

/** JWTs, also cut ones, and whatever is as long as a key, a signature or a token. */
const credentials = /eyJ[\w-]{8,}[\w.-]*|[A-Za-z0-9+/_=-]{80,}/g

function protectedText(text: string): string {
  return text
    .slice(0, 4 * textCharactersMax)
    .replaceAll(credentials, '[redacted]')
    .slice(0, textCharactersMax)
}
