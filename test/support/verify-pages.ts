import { genesis, type Link, type Row } from '../../src/ledger/chain.ts'
import { type Verification, verifyChain } from '../../src/ledger/verify.ts'

/** Of rows that come in pages: consistent to their end, or broken at one of them. */
export async function verifyPages(pages: AsyncIterable<Iterable<Row>>): Promise<Verification> {
  let tip: Link = genesis
  for await (const page of pages) {
    const verification = verifyChain(page, tip)
    if (!verification.ok) return verification
    ;({ tip } = verification)
  }
  return { ok: true, tip }
}
