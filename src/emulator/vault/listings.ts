import { refused, type Performed, type VaultContent, type VaultObject } from './performed.ts'
import { propertyInvalid } from './vault-error.ts'

const pageItemsMax = 25

/**
 * One page of objects with the link to the next. The order is by version and name, which is neither
 * the order of creation nor any other that a client could rely on.
 *
 * @param itemOf What it shows of each object.
 * @param path Of the listing, for `nextLink`.
 */
export function page<Object extends VaultObject>(
  { origin }: VaultContent,
  objects: readonly Object[],
  itemOf: (origin: string, object: Object) => Readonly<Record<string, unknown>>,
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
  const value = shown.map(({ object }) => itemOf(origin, object))
  const nextLink =
    last === undefined || left.length <= size ? null : nextLinkOf(origin, path, query, last.mark)
  return { ok: true, body: { value, nextLink } }
}

const markOf = ({ stored, version }: VaultObject) =>
  `${version.version}${stored.name.toLowerCase()}`

function nextLinkOf(origin: string, path: string, query: URLSearchParams, mark: string): string {
  const next = new URLSearchParams(query)
  next.set('$skiptoken', mark)
  return `${origin}${path}?${next.toString()}`
}
