import { z } from 'zod'
import { fileLines } from '../base/file-lines.ts'
import type { AnchoredHead } from './file-anchor.ts'
import { parseHead, type UnverifiedHead } from './head.ts'

/** What a line of an anchor's file holds. */
export type AnchorLine =
  | { readonly kind: 'head'; readonly head: UnverifiedHead }
  /** No head: torn by a crash, or written by somebody else. */
  | { readonly kind: 'unread'; readonly line: number }

const lineBytesMax = 16 * 1024

const lineForm = z.object({
  head: z.string(),
  anchoredAtMs: z.number(),
}) satisfies z.ZodType<AnchoredHead>

/** In the order in which they were put there. @throws Error of the system when it cannot be read. */
export function* readAnchorFile(file: string): Generator<AnchorLine, void, undefined> {
  for (const { bytes, number } of fileLines(file, lineBytesMax)) {
    const { data } = lineForm.safeParse(jsonOf(bytes.toString()))
    const head = data && parseHead(data.head)
    yield head === undefined ? { kind: 'unread', line: number } : { kind: 'head', head }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
