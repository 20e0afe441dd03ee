import { parseGrantName } from '../base/ids.ts'
import type { ListedToken, SharedTokens } from './shared-tokens.ts'
import type { HeldToken, TokenCache } from './token-cache.ts'
import { parseTokenKey, type TokenKeyText, tokenKeyText } from './token-key.ts'

type IsMeant = (held: HeldToken) => boolean

/**
 * What is dropped here is dropped everywhere, by its keys: here at once, in the store as soon as it
 * answers, and by each other replica when it looks.
 */
export interface FleetDrops {
  /** As {@link TokenCache.drop}. Until all know of it, nothing that matches is taken from the store. */
  drop(matches: IsMeant): number
  /**
   * As {@link TokenCache.dropHere}: here and in the store, where nothing goes but what matches itself. Nobody
   * is told.
   */
  dropHere(matches: IsMeant): number
  /** Whether something that is looked for from now on was dropped here meanwhile, or is not dropped there yet. */
  guard(): IsMeant
  /** What is on its way to the store: dropped as if it were there, until what is returned is called. */
  storing(held: HeldToken): () => void
  /** Lets the others know what was dropped here, and drops what they have. */
  look(): Promise<void>
}

interface Pending {
  readonly matches: IsMeant
  /** Does in the store what is done here already. */
  readonly tell: () => Promise<void>
}

/** Each knows the one that was made after it, so that whoever knows one knows all since. */
interface Made {
  readonly matches: IsMeant
  next?: Made
}

interface StoredHeld {
  readonly key: TokenKeyText
  readonly keyId: string
}

/** Of one statement. */
const keysMax = 500

/** @param onFailure What was not told is told at the next look. */
export function createFleetDrops(
  memory: TokenCache,
  store: SharedTokens,
  onFailure: (error: unknown) => void,
): FleetDrops {
  const pending = new Set<Pending>()
  const onTheirWay = new Set<HeldToken>()
  let latest: Made = { matches: () => false }
  /** Undefined until the first look: what came before it may have been dropped since. */
  let seenEpoch: number | undefined
  let looking: Promise<void> = Promise.resolve()

  const stored = async (matches: IsMeant): Promise<readonly StoredHeld[]> => {
    const meant: StoredHeld[] = []
    for await (const { keyId, ...listed } of everyListed(store)) {
      const held = heldFrom({ keyId, ...listed })
      if (held !== undefined && matches(held)) meant.push({ key: tokenKeyText(held.key), keyId })
    }
    return meant
  }

  /** @param keys Of tokens and flights that matched here. */
  const dropStored = async (matches: IsMeant, keys: ReadonlySet<TokenKeyText>) => {
    const all = new Set([...keys, ...(await stored(matches)).map(({ key }) => key)])
    for (const some of portionsOf([...all])) await store.drop(some)
  }

  const removeStored = async (matches: IsMeant) => {
    for (const some of portionsOf(await stored(matches))) await store.remove(some)
  }

  const hear = async () => {
    const { epoch, keys } = await store.dropsSince(seenEpoch ?? 0)
    if (epoch !== seenEpoch) {
      const known = seenEpoch === undefined ? undefined : keys
      memory.drop(({ key }) => known === undefined || known.has(tokenKeyText(key)))
    }
    seenEpoch = epoch
  }

  const look = () => {
    const next = looking.then(async () => {
      for (const one of pending) {
        await one.tell()
        pending.delete(one)
      }
      await hear()
    })
    looking = next.catch(() => undefined)
    return next
  }

  const lookSoon = () => {
    look().catch(onFailure)
  }

  /** From now on nothing that matches is taken from the store. */
  const begin = (one: Pending) => {
    pending.add(one)
    const made: Made = { matches: one.matches }
    latest.next = made
    latest = made
    lookSoon()
  }

  store.watchDrops(lookSoon)

  return {
    drop: (matches) => {
      const keys = new Set<TokenKeyText>()
      const isMeant = (held: HeldToken) => {
        const isIt = matches(held)
        if (isIt) keys.add(tokenKeyText(held.key))
        return isIt
      }
      const dropped = memory.drop(isMeant)
      // The memory may have none of them any more.
      for (const held of onTheirWay) isMeant(held)
      begin({ matches, tell: () => dropStored(matches, keys) })
      return dropped
    },
    dropHere: (matches) => {
      const dropped = memory.drop(matches)
      begin({ matches, tell: () => removeStored(matches) })
      return dropped
    },
    guard: () => {
      const [before, from] = [[...pending], latest]
      return (held) => before.some(({ matches }) => matches(held)) || isDroppedSince(from, held)
    },
    storing: (held) => {
      onTheirWay.add(held)
      return () => {
        onTheirWay.delete(held)
      }
    },
    look,
  }
}

function isDroppedSince(from: Made, held: HeldToken): boolean {
  for (let made = from.next; made !== undefined; made = made.next) {
    if (made.matches(held)) return true
  }
  return false
}

function* portionsOf<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += keysMax) yield all.slice(i, i + keysMax)
}

async function* everyListed(store: SharedTokens): AsyncGenerator<ListedToken> {
  let page = await store.list()
  for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
    yield* page
    page = await store.list(last.key)
  }
}

function heldFrom({ key: text, grant: name, keyId }: ListedToken): HeldToken | undefined {
  const [key, grant] = [parseTokenKey(text), parseGrantName(name)]
  return key === undefined || grant === undefined ? undefined : { key, grant, keyId }
}
