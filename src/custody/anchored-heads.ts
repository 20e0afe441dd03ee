import type { KeyObject } from 'node:crypto'
import { z } from 'zod'
import { fileLines } from '../base/file-lines.ts'
import { parseJson } from '../base/parse-json.ts'
import type { AnchoredHead } from './file-anchor.ts'
import { parseHead, type UnverifiedHead } from './head.ts'
import { isWitnessing, parseWitnessed } from './witnessed-head.ts'

/** A head as it was kept, before anybody has looked at any signature. */
export interface KeptHead extends UnverifiedHead {
  readonly compact: string
  /** What a witness says of it, compact; absent where none does. */
  readonly witnessed?: string
}

/** What a line of an anchor's file, or of a witness's, holds. */
export type AnchorLine =
  | { readonly kind: 'head'; readonly head: KeptHead }
  /** No head: torn by a crash, or written by somebody else. */
  | { readonly kind: 'unread'; readonly line: number }

const lineBytesMax = 16 * 1024

const lineForm = z.object({
  head: z.string(),
  anchoredAtMs: z.number(),
  witnessed: z.string().exactOptional(),
}) satisfies z.ZodType<AnchoredHead>

/** In the order in which they were put there. @throws Error of the system when it cannot be read. */
export function* readAnchorFile(file: string): Generator<AnchorLine, void, undefined> {
  for (const { bytes, number } of fileLines(file, lineBytesMax)) {
    const { data } = lineForm.safeParse(parseJson(bytes.toString()))
    const head = data && parseHead(data.head)
    yield data === undefined || head === undefined
      ? { kind: 'unread', line: number }
      : { kind: 'head', head: keptFrom(data, head) }
  }
}

const keptFrom = ({ head: compact, witnessed }: AnchoredHead, head: UnverifiedHead): KeptHead => ({
  ...head,
  compact,
  ...(witnessed === undefined ? {} : { witnessed }),
})

/** Whether one of the keys has witnessed the head that it lies beside. */
export function isWitnessedBy(
  keys: readonly KeyObject[],
  { compact, witnessed }: KeptHead,
): boolean {
  const said = witnessed === undefined ? undefined : parseWitnessed(witnessed)
  return said !== undefined && keys.some((key) => isWitnessing(said, compact, key))
}
