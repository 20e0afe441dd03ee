import { readFile } from 'node:fs/promises'
import { CountersignError } from './countersign-error.ts'
import { systemCodeOf } from './system-code.ts'

/** Where the caller's own token comes from, each time one is shown. */
export type CallerToken = { readonly file: string } | (() => string | Promise<string>)

/** @throws CountersignError when there is none, or a text that no header can hold. */
export async function shownToken(callerToken: CallerToken): Promise<string> {
  const token = await readToken(callerToken)
  // An HTTP client would repeat in its error what it cannot send.
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new CountersignError('CALLER_TOKEN_UNAVAILABLE')
}

async function readToken(callerToken: CallerToken): Promise<string> {
  try {
    const text =
      typeof callerToken === 'function'
        ? await callerToken()
        : await readFile(callerToken.file, 'utf8')
    return text.trim()
  } catch (error) {
    throw new CountersignError('CALLER_TOKEN_UNAVAILABLE', { systemCode: systemCodeOf(error) })
  }
}
