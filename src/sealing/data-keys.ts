import { createSecretKey, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/clock.ts'
import { type DataKey, dataKeyBytes, generationMax, type WrappedDataKey } from './data-key.ts'
import type { DataKeyStore } from './data-key-store.ts'
import { createSingleFlight } from './single-flight.ts'
import { SealingError, type SealingErrorCode, type WrappingKey } from './wrapping-key.ts'

/**
 * The data keys of a fleet, as one replica uses them. The newest seals; each opens until all that it
 * may have sealed is dead. Replicas need not agree on which is the newest: who comes upon a generation
 * that it does not know looks it up.
 */
export interface DataKeys {
  /**
   * What to seal one more message with. A data key that is old, or has sealed its share, is replaced by
   * the next one, which another replica may have made already.
   *
   * @throws SealingError, or what the store throws
   */
  forSealing(): Promise<DataKey>
  /**
   * Undefined when there is no such generation, or not any more.
   *
   * @throws SealingError, or what the store throws
   */
  forOpening(generation: number): Promise<DataKey | undefined>
}

export interface DataKeysOptions {
  readonly store: DataKeyStore
  readonly wrappingKey: WrappingKey
  readonly clock: Clock
  /** The newest data key cannot be used, nor will it ever be, so that a new one is made: worth a look. */
  readonly onUnusable: (generation: number, error: SealingError) => void
}

export function createDataKeys(options: DataKeysOptions): DataKeys {
  return new FleetDataKeys(options)
}

/** Ours: whoever gets hold of one data key has what was sealed in a week. */
const sealsForSeconds = 7 * 86_400

/** Entra's long-lived tokens live up to 28 hours; the rest is for clocks that differ. */
const opensForSeconds = sealsForSeconds + 2 * 86_400

/**
 * By one process with one data key. All of them together must stay below 2³² (NIST SP 800-38D §8.3),
 * which takes 4,096 processes that obtain a million tokens each within a week.
 */
const messagesMax = 2 ** 20

/** More than there are within nine days, unless something is wrong. */
const keptMax = 64

/** Meanwhile each replica obtains tokens of its own. */
const pauseMs = 30_000

/** What is about us or the vault, and not about one data key: another one would fare no better. */
const wouldRecur: ReadonlySet<SealingErrorCode> = new Set([
  'SEALING_UNREACHABLE',
  'SEALING_CREDENTIAL',
  'SEALING_FORBIDDEN',
  'SEALING_UNRECOGNISED',
])

/** The data key that seals now. */
interface Sealing {
  readonly key: DataKey
  messages: number
}

class FleetDataKeys implements DataKeys {
  readonly #options: DataKeysOptions
  readonly #keys = new LRUCache<number, DataKey>({ max: keptMax })
  readonly #lookUps = new LRUCache<number, () => Promise<DataKey | undefined>>({ max: keptMax })
  readonly #renew: () => Promise<Sealing>
  #sealing: Sealing | undefined

  constructor(options: DataKeysOptions) {
    this.#options = options
    this.#renew = this.#shared(() => this.#renewed())
  }

  async forSealing(): Promise<DataKey> {
    const current = this.#sealing
    const isGood =
      current !== undefined && this.#seals(current.key) && current.messages < messagesMax
    const sealing = isGood ? current : await this.#renew()
    sealing.messages += 1
    return sealing.key
  }

  async forOpening(generation: number): Promise<DataKey | undefined> {
    const key = this.#keys.get(generation)
    if (key === undefined) return this.#lookUpOf(generation)()
    return this.#opens(key) ? key : undefined
  }

  async #renewed(): Promise<Sealing> {
    const latest = await this.#options.store.latest()
    // Young as it may be, ours has sealed its share.
    const isOurs = latest?.generation === this.#sealing?.key.generation
    const taken =
      latest === undefined || isOurs || !this.#seals(latest)
        ? undefined
        : await this.#takenOver(latest)
    const key = taken ?? (await this.#made((latest?.generation ?? 0) + 1))
    this.#sealing = { key, messages: 0 }
    this.#forgetDead()
    return this.#sealing
  }

  /** Undefined when only a new one helps. */
  async #takenOver(row: WrappedDataKey): Promise<DataKey | undefined> {
    try {
      return this.#keys.get(row.generation) ?? (await this.#unwrapped(row))
    } catch (error) {
      if (!(error instanceof SealingError) || wouldRecur.has(error.code)) throw error
      this.#options.onUnusable(row.generation, error)
      return undefined
    }
  }

  async #made(generation: number): Promise<DataKey> {
    // Nobody makes so many: somebody wrote it into the store.
    if (generation > generationMax) throw new SealingError('SEALING_DATA_KEY_DAMAGED')
    const { store, wrappingKey, clock } = this.#options
    const createdAtSeconds = clock.nowSeconds()
    const secret = createSecretKey(randomBytes(dataKeyBytes))
    const row = { generation, createdAtSeconds, ...(await wrappingKey.wrap(secret)) }
    const newest = await store.addNewest(row, createdAtSeconds - opensForSeconds)
    if (!isSame(row, newest)) return this.#unwrapped(newest)
    return this.#kept({ generation, createdAtSeconds, secret })
  }

  #lookUpOf(generation: number): () => Promise<DataKey | undefined> {
    const known = this.#lookUps.get(generation)
    if (known !== undefined) return known
    const lookUp = this.#shared(async () => {
      const row = await this.#options.store.find(generation)
      return row === undefined || !this.#opens(row) ? undefined : this.#unwrapped(row)
    })
    this.#lookUps.set(generation, lookUp)
    return lookUp
  }

  async #unwrapped(row: WrappedDataKey): Promise<DataKey> {
    const { generation, createdAtSeconds } = row
    const secret = await this.#options.wrappingKey.unwrap(row)
    return this.#kept({ generation, createdAtSeconds, secret })
  }

  #kept(key: DataKey): DataKey {
    this.#keys.set(key.generation, key)
    return key
  }

  #forgetDead(): void {
    for (const [generation, key] of [...this.#keys.entries()]) {
      if (!this.#opens(key)) this.#keys.delete(generation)
    }
  }

  #seals(key: Aged): boolean {
    return this.#ageOf(key) < sealsForSeconds
  }

  #opens(key: Aged): boolean {
    return this.#ageOf(key) < opensForSeconds
  }

  #ageOf({ createdAtSeconds }: Aged): number {
    return this.#options.clock.nowSeconds() - createdAtSeconds
  }

  #shared<T>(act: () => Promise<T>): () => Promise<T> {
    return createSingleFlight({ clock: this.#options.clock, pauseMs }, act)
  }
}

type Aged = Pick<WrappedDataKey, 'createdAtSeconds'>

const isSame = (a: WrappedDataKey, b: WrappedDataKey) =>
  a.generation === b.generation && Buffer.compare(a.wrapped, b.wrapped) === 0
