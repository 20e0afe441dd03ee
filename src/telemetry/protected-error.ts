import type { Redaction } from './redaction.ts'

/** An error as the protected log shows it. */
export interface ProtectedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: ProtectedError
  /** Of an error that stands for several, such as one for each address of a host. */
  readonly errors?: readonly ProtectedError[]
}

/** Of a message or a stack: enough to know it by, too little for what a peer may put into it. */
const textCharactersMax = 2048
const nameCharactersMax = 128
const causesMax = 5
const errorsMax = 5

/**
 * What the log may know of an error: its name, code, text and causes. Libraries put answers of peers,
 * headers and whole targets into the members and texts of their errors; members are left out, and the
 * texts, of which a code may be one, are redacted.
 */
export function protectedError(error: unknown, redact: Redaction, depth = 0): ProtectedError {
  // Redacted before it is cut: half a secret is known to nobody.
  const text = (whole: string, charactersMax = textCharactersMax) =>
    redact(whole).slice(0, charactersMax)
  if (!(error instanceof Error)) return { type: typeof error, message: text(String(error)) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    type: text(error.name, nameCharactersMax),
    message: text(error.message),
    ...(code === undefined ? {} : { code: text(code, nameCharactersMax) }),
    ...(error.stack === undefined ? {} : { stack: text(error.stack) }),
    ...(error.cause === undefined || depth === causesMax
      ? {}
      : { cause: protectedError(error.cause, redact, depth + 1) }),
    ...(error instanceof AggregateError && depth < causesMax
      ? { errors: withoutCauses(error.errors, redact) }
      : {}),
  }
}

/** They are many already. */
const withoutCauses = (errors: readonly unknown[], redact: Redaction) =>
  errors.slice(0, errorsMax).map((error) => protectedError(error, redact, causesMax))
