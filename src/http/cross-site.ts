import type { IncomingMessage } from 'node:http'
import { RequestProblem } from './request-problem.ts'

/**
 * Refuses what a page of somebody else has made a browser send. A browser adds the client certificate that
 * somebody has in it to whatever any page asks for, so that a page could have us sign, though it could not
 * read the answer. Browsers say who made them ask (Fetch Metadata; `Origin`, RFC 6454 §7), which no page can
 * change, and nobody else says it. One that says `Origin` alone is refused too, though the page were ours: the only
 * form that we have signs out, and a session ends without it.
 *
 * @throws RequestProblem before anybody is proven or anything is counted.
 */
export function refuseCrossSite({ headers }: IncomingMessage): void {
  const { origin, 'sec-fetch-site': site } = headers
  if (site === undefined ? origin === undefined : ownSites.includes(site)) return
  throw new RequestProblem(
    'cross_site',
    'A page of another site has asked for this. Ask from a program, not from a page.',
  )
}

/** A page of this origin, or a person: an address that was typed, a bookmark. */
const ownSites: readonly unknown[] = ['same-origin', 'none']
