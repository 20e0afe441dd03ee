import type { IncomingHttpHeaders } from 'node:http'

/** One endpoint that programs already know. */
export interface Shape {
  /** Lower case, without a slash at its end: it is answered with one too. */
  readonly path: string
  answer(request: ShapeRequest): Promise<ShapeAnswer>
}

export interface ShapeRequest {
  readonly method: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** At most some KiB. */
  readonly body: string
}

export interface ShapeAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body: object
}

/** The one value of a parameter; undefined when it is absent, empty or there more than once. */
export function onlyValue(parameters: URLSearchParams, name: string): string | undefined {
  const [value, ...more] = parameters.getAll(name)
  return value === '' || more.length > 0 ? undefined : value
}

/** As a header of an answer. */
export const retryAfter = (seconds: number | undefined) =>
  seconds === undefined ? {} : { 'retry-after': String(seconds) }
