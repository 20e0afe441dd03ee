import type { certificateItem, keyItem } from './bundles.ts'
import { refused, type Performed, type VaultContent, type VaultObject } from './performed.ts'
import { propertyInvalid } from './vault-error.ts'

/** What a listing shows of each object. */
export type ItemOf = typeof keyItem | typeof certificateItem

const pageItemsMax = 25

/**
 * One page of objects with the link to the next. The order is by version and name, which is neither
 * the order of creation nor any other that a client could rely on.
 *
 * @param path Of the listing, for `nextLink`.
 */
export function page(
  { origin }: VaultContent,
  objects: readonly VaultObject[],
  itemOf: ItemOf,
  path: string,
  query: URLSearchParams,
): Performed {
  const size = Number(query.get('maxresults') ?? pageItemsMax)
  if (!Number.isInteger(size) || size < 1 || size > pageItemsMax) {
    return refused(propertyInvalid('maxresults'))
  }
  const after = query.get('$skiptoken') ?? ''
  const left = objects
    .map((object) => ({ mark: markOf(object), object }))
    .filter(({ mark }) => mark > after)
    .sort((a, b) => (a.mark < b.mark ? -1 : 1))
  const shown = left.slice(0, size)
  const last = shown.at(-1)
  const value = shown.map(({ object }) => itemOf(origin, object.certificate, object.version))
  const nextLink =
    last === undefined || left.length <= size ? null : nextLinkOf(origin, path, query, last.mark)
  return { ok: true, body: { value, nextLink } }
}

const markOf = ({ certificate, version }: VaultObject) =>
  `${version.version}${certificate.name.toLowerCase()}`

function nextLinkOf(origin: string, path: string, query: URLSearchParams, mark: string): string {
  const next = new URLSearchParams(query)
  next.set('$skiptoken', mark)
  return `${origin}${path}?${next.toString()}`
}
