import type { EmulatorClock } from '../emulator-clock.ts'

/** One named object of a vault. */
export interface Stored<Definition, Version> {
  readonly name: string
  readonly definition: Definition
  /** Oldest first, never empty; the last one is current. */
  readonly versions: readonly Version[]
}

/** All objects of one kind. Names are case-insensitive. */
export interface Shelf<Definition, Version> {
  list(): readonly Stored<Definition, Version>[]
  find(name: string): Stored<Definition, Version> | undefined
  /** Makes a version with a new key, which is current at once. */
  roll(name: string): Promise<Version>
  /** Of the version, or of the current one. */
  setEnabled(name: string, version: string | undefined, enabled: boolean): Version
}

/** Asked for by name from inside the emulator, where the answer is a message and not a vault's 404. */
export class ObjectUnknownError extends Error {
  override readonly name = 'ObjectUnknownError'
}

/** How versions come about: the one at the start, and those that follow. */
export interface Making<Definition, Version> {
  first(definition: Definition, nowSeconds: number): Promise<Version>
  next(definition: Definition, nowSeconds: number): Promise<Version>
}

interface AnyVersion {
  readonly version: string
  readonly enabled: boolean
  readonly updatedSeconds: number
}

/** @param noun What messages call an object of this kind. */
export async function createShelf<
  Definition extends { readonly name: string },
  Version extends AnyVersion,
>(
  noun: string,
  definitions: readonly Definition[],
  clock: EmulatorClock,
  making: Making<Definition, Version>,
): Promise<Shelf<Definition, Version>> {
  type Object = Stored<Definition, Version>
  const nowSeconds = clock.nowSeconds()
  const made = await Promise.all(
    definitions.map(async (definition): Promise<Object> => {
      const version = await making.first(definition, nowSeconds)
      return { name: definition.name, definition, versions: [version] }
    }),
  )
  const objects = new Map(made.map((object) => [object.name.toLowerCase(), object]))
  const existing = (name: string) => {
    const object = objects.get(name.toLowerCase())
    if (object === undefined) throw new ObjectUnknownError(`no ${noun} '${name}'`)
    return object
  }
  const replace = (object: Object, versions: readonly Version[]) =>
    objects.set(object.name.toLowerCase(), { ...object, versions })
  return {
    list: () => [...objects.values()],
    find: (name) => objects.get(name.toLowerCase()),
    roll: async (name) => {
      const version = await making.next(existing(name).definition, clock.nowSeconds())
      // Read again: another roll may have finished while this one made its key.
      const object = existing(name)
      replace(object, [...object.versions, version])
      return version
    },
    setEnabled: (name, version, enabled) => {
      const object = existing(name)
      const found = versionOf(object, version)
      if (found === undefined) {
        throw new ObjectUnknownError(`${noun} '${name}' has no version '${version ?? ''}'`)
      }
      const changed = { ...found, enabled, updatedSeconds: clock.nowSeconds() }
      replace(
        object,
        object.versions.map((one) => (one === found ? changed : one)),
      )
      return changed
    },
  }
}

/** The version called so, or the current one when none is named. */
export function versionOf<Version extends AnyVersion>(
  { versions }: Stored<unknown, Version>,
  version: string | undefined,
): Version | undefined {
  return version === undefined
    ? versions.at(-1)
    : versions.find((one) => one.version === version.toLowerCase())
}
