import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { z } from 'zod'
import type { EmulatedReply, EmulatedRequest } from './exchange.ts'
import { jsonReply } from './json-reply.ts'
import { listenHttp } from './listener.ts'

/**
 * How people and tests steer a running emulator. Apart from the emulated services, and behind a token
 * of its own, so that no client of theirs can reach it by mistake.
 */
export interface Control {
  readonly origin: string
  /** Random per start; goes into `Authorization: Bearer …`. */
  readonly token: string
  close(): Promise<void>
}

/** One thing that can be asked of the emulator. Parts bring theirs along. */
export interface ControlRoute {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** As `/vaults/{vault}/certificates/{name}/roll`; each `{…}` is one segment. */
  readonly path: string
  /** One line for `GET /`, which lists what can be asked. */
  readonly summary: string
  /**
   * @returns What is answered, as JSON; undefined answers 204.
   * @throws ControlError to refuse, in words that say what to do instead.
   */
  handle(request: ControlRequest): unknown
}

export interface ControlRequest {
  /** Decoded. */
  readonly parameters: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** Parsed JSON; undefined when there was no body. */
  readonly body: unknown
}

/** A request that cannot be granted as it stands. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly status: 400 | 404 | 409

  constructor(status: 400 | 404 | 409, message: string) {
    super(message)
    this.status = status
  }
}

export async function startControl(
  routes: readonly ControlRoute[],
  port: number,
): Promise<Control> {
  const token = randomBytes(24).toString('base64url')
  const index: ControlRoute = {
    method: 'GET',
    path: '/',
    summary: 'this list',
    handle: () =>
      all.map(({ method, path, summary }) => ({ request: `${method} ${path}`, summary })),
  }
  const all = [index, ...routes]
  const listener = await listenHttp({ port })
  listener.serve(async (request) =>
    isAuthorized(request.headers.authorization, token)
      ? answer(all, request)
      : jsonReply(401, { error: 'send the control token: Authorization: Bearer …' }),
  )
  return { origin: listener.origin, token, close: () => listener.close() }
}

function isAuthorized(authorization: string | undefined, token: string): boolean {
  const given = Buffer.from(authorization ?? '')
  const expected = Buffer.from(`Bearer ${token}`)
  return given.length === expected.length && timingSafeEqual(given, expected)
}

async function answer(
  routes: readonly ControlRoute[],
  request: EmulatedRequest,
): Promise<EmulatedReply> {
  try {
    const { route, parameters } = routeFor(routes, request)
    const { query } = request
    const result = await route.handle({ parameters, query, body: bodyOf(request) })
    return result === undefined ? noContent : jsonReply(200, result)
  } catch (error) {
    if (error instanceof ControlError) return jsonReply(error.status, { error: error.message })
    throw error
  }
}

const noContent: EmulatedReply = {
  kind: 'answer',
  status: 204,
  headers: {},
  body: Buffer.alloc(0),
}

function bodyOf({ body }: EmulatedRequest): unknown {
  if (body.length === 0) return undefined
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch {
    throw new ControlError(400, 'the body is not JSON: send a JSON value, or no body')
  }
}

/**
 * The value as the schema says.
 *
 * @throws ControlError that names every member at fault and what it should be.
 */
export function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.map(
    ({ path, message }) => `${path.length === 0 ? 'body' : path.join('.')}: ${message}`,
  )
  throw new ControlError(400, problems.join('; '))
}

/** @throws ControlError where there is none. */
function routeFor(routes: readonly ControlRoute[], { method, path }: EmulatedRequest) {
  for (const route of routes) {
    const parameters = route.method === method ? match(route.path, path) : undefined
    if (parameters !== undefined) return { route, parameters }
  }
  throw new ControlError(404, `no ${method} ${path}: GET / lists what there is`)
}

function match(pattern: string, path: string): Record<string, string> | undefined {
  const parts = pattern.split('/')
  const segments = path.split('/')
  if (parts.length !== segments.length) return undefined
  const parameters: Record<string, string> = {}
  for (const [i, part] of parts.entries()) {
    const segment = segments[i] ?? ''
    if (part.startsWith('{')) parameters[part.slice(1, -1)] = decoded(segment)
    else if (part !== segment) return undefined
  }
  return parameters
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new ControlError(400, `'${segment}' is not percent-encoded UTF-8`)
  }
}
