import { stat } from 'node:fs/promises'
import { readKeptFile, replaceKeptFile } from '../../base/kept-file.ts'
import { parseJson } from '../../base/parse-json.ts'
import { noRounds, roundStateForm } from './round-state.ts'
import type { RoundState } from './round-state.ts'

export type RoundStateErrorCode =
  | 'STATE_UNREADABLE'
  | 'STATE_NOT_UNDERSTOOD' // no state of this version
  | 'STATE_UNWRITABLE'
  | 'STATE_OF_ANOTHER' // somebody else has written it meanwhile
  | 'STATE_OF_ANOTHER_LEDGER'

/** The message is one sentence for whoever keeps watch, and names the file. */
export class RoundStateError extends Error {
  override readonly name = 'RoundStateError'
  readonly code: RoundStateErrorCode

  constructor(code: RoundStateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * The state in a file of its own. What is saved is durable and whole, whenever the power goes; two that keep watch
 * with one file find each other out, and the second to write gives up.
 */
export interface RoundStateFile {
  /**
   * The state as it was saved last; that of nobody yet where there is no file.
   *
   * @throws RoundStateError
   */
  load(): Promise<RoundState>
  /** @throws RoundStateError */
  save(state: RoundState): Promise<void>
}

export function roundStateFile(file: string): RoundStateFile {
  let seen: string | undefined
  return {
    load: async () => {
      seen = await identityOfFile(file)
      const text = await readIfThere(file)
      return text === undefined ? noRounds : stateFrom(file, text)
    },
    save: async (state) => {
      if ((await identityOfFile(file)) !== seen) {
        throw new RoundStateError(
          'STATE_OF_ANOTHER',
          `${file} was written by somebody else meanwhile: let one alone keep watch with it`,
        )
      }
      await replace(file, `${JSON.stringify(state)}\n`)
      seen = await identityOfFile(file)
    },
  }
}

async function identityOfFile(file: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true })
    return `${ino} ${size} ${mtimeNs}`
  } catch {
    return undefined
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readKeptFile(file)
  } catch (cause) {
    throw new RoundStateError('STATE_UNREADABLE', `${file} cannot be read: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

/** A file that is damaged is not taken for none: everything would be told once more. */
function stateFrom(file: string, text: string): RoundState {
  const parsed = roundStateForm.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new RoundStateError(
    'STATE_NOT_UNDERSTOOD',
    `${file} is no state of this version: name another with --state, or remove it, and all findings are told anew`,
  )
}

async function replace(file: string, text: string): Promise<void> {
  // What is renamed over a device takes its place.
  const found = await stat(file).catch(() => undefined)
  if (found?.isFile() === false) {
    throw new RoundStateError('STATE_UNWRITABLE', `${file} is not an ordinary file`)
  }
  try {
    await replaceKeptFile(file, text, 0o640)
  } catch (cause) {
    throw new RoundStateError('STATE_UNWRITABLE', `${file} cannot be written: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause)
