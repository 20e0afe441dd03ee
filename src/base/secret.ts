import { inspect } from 'node:util'

/**
 * A value that must not be printed: JSON, templates and `inspect` show `[secret]`. Whoever needs the
 * value says so with {@link Secret.reveal}, which is easy to search for.
 */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  reveal(): T {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}
