import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { contractFile } from '../../src/cli/product.ts'
import { required } from './required.ts'

/** One request and its answer, as they were on the wire. */
export interface Exchange {
  readonly method: string
  /** With its query, as sent. */
  readonly path: string
  /** Parsed where it is JSON or a form; undefined where none was sent, or another kind. */
  readonly requestBody: unknown
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Parsed where it is JSON, otherwise the text. */
  readonly body: unknown
}

type Schema = Readonly<Record<string, unknown>>
type Content = Readonly<Record<string, { readonly schema: Schema }>>

interface Reply {
  readonly headers?: Readonly<Record<string, unknown>>
  readonly content: Content
}

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required?: boolean
  readonly schema: Schema
}

type ParameterOrReference = Parameter | { readonly $ref: string }

interface Operation {
  readonly tags?: readonly string[]
  readonly parameters?: readonly ParameterOrReference[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, Reply | { readonly $ref: string }>>
}

/** `openapi.yaml`, as far as tests read it. */
interface ContractDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly responses: Readonly<Record<string, Reply>>
    readonly parameters: Readonly<Record<string, Parameter>>
  }
}

export const contract = parse(readFileSync(contractFile, 'utf8')) as ContractDocument

const ajv = new Ajv2020({
  strict: true,
  allErrors: true,
  // The whole document is one schema to the validator, so that references within it resolve.
  keywords: ['openapi', 'info', 'security', 'tags', 'paths', 'components'],
  formats: {
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
    uri: (text: string) => URL.canParse(text),
  },
})
ajv.addSchema({ ...contract, $id: 'openapi.yaml' })

const validators = new Map<string, ValidateFunction>()

/** What is wrong with a value by the schema at a JSON pointer (RFC 6901) of the document. */
function schemaFaults(value: unknown, ...pointer: readonly (string | number)[]): readonly string[] {
  const path = pointer
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('')
  const validate = validators.get(path) ?? ajv.compile({ $ref: `openapi.yaml#${path}` })
  validators.set(path, validate)
  return validate(value) ? [] : [`${path}: ${ajv.errorsText(validate.errors)}`]
}

/** Headers that any HTTP server sends. */
const transportHeaders = new Set([
  'date',
  'connection',
  'keep-alive',
  'content-type',
  'content-length',
  'cache-control',
])

/** What makes a request unknown to the document, before anybody asks who sent it. */
const requestRefused = new Set([400, 413, 415])
const formType = 'application/x-www-form-urlencoded'

/** In a form, how a client proves itself is a parameter like others (RFC 6749 §5.2, `invalid_client`). */
const isRefused = ({ status }: Exchange, { requestBody }: Operation) =>
  requestRefused.has(status) || (status === 401 && requestBody?.content[formType] !== undefined)

/**
 * Everything about an exchange that the contract does not allow: a status, header, media type or body
 * that it does not describe, an attempt that is not told, and a request that it does not describe and
 * that was answered all the same.
 */
export function contractFaults(exchange: Exchange): readonly string[] {
  const { method, status, headers } = exchange
  const path = exchange.path.split('?', 1)[0] ?? ''
  const template = templateOf(path)
  const always = headers['cache-control'] === 'no-store' ? [] : ['the answer may be cached']
  // It has no body, which is all that the document could say of it.
  if (method === 'HEAD') return always
  if (template === undefined) {
    const known = status === 404 ? [] : [`${path} is in no path, and the status is ${status}`]
    return [...always, ...known, ...replyFaults(exchange, ['components', 'responses', 'Problem'])]
  }
  const name = method.toLowerCase()
  const operations = required(contract.paths[template])
  const operation = operations[name]
  if (operation === undefined) {
    const refusing = Object.keys(operations)[0] ?? ''
    const known = status === 405 ? [] : [`${method} ${template} is answered with ${status}`]
    return [...always, ...known, ...documentedFaults(exchange, template, refusing)]
  }
  const asked = requestFaults(exchange, template, operation)
  return [
    ...always,
    ...(isRefused(exchange, operation) ? [] : asked),
    ...documentedFaults(exchange, template, name),
    ...attemptFaults(exchange, template, operation),
  ]
}

/** The template that a path fits: `/v1/assertion/{application}/{tenant}`. */
function templateOf(path: string): string | undefined {
  return Object.keys(contract.paths).find((template) => patternOf(template).test(path))
}

const patternOf = (template: string) =>
  new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{([^}]+)\}/g, '(?<$1>[^/]+)')}$`)

function documentedFaults(exchange: Exchange, template: string, method: string): readonly string[] {
  const { status } = exchange
  const reply = contract.paths[template]?.[method]?.responses[String(status)]
  if (reply === undefined) return [`status ${status} of ${method} ${template} is not documented`]
  const pointer =
    '$ref' in reply
      ? reply.$ref.split('/').slice(1)
      : ['paths', template, method, 'responses', String(status)]
  return replyFaults(exchange, pointer)
}

function replyAt(pointer: readonly string[]): Reply {
  return pointer.reduce<unknown>(
    (value, name) => (value as Readonly<Record<string, unknown>>)[name],
    contract,
  ) as Reply
}

function replyFaults(exchange: Exchange, pointer: readonly string[]): readonly string[] {
  const reply = replyAt(pointer)
  const mediaType = exchange.headers['content-type']?.split(';', 1)[0] ?? 'none'
  if (reply.content[mediaType] === undefined) return [`content type ${mediaType} is not documented`]
  const described = Object.keys(reply.headers ?? {})
  const undescribed = Object.keys(exchange.headers).filter(
    (header) => !transportHeaders.has(header) && !described.includes(header),
  )
  return [
    ...undescribed.map((header) => `header ${header} is not documented`),
    ...schemaFaults(exchange.body, ...pointer, 'content', mediaType, 'schema'),
  ]
}

/** Where an attempt is documented it must be told, in the header and, where there is a member, there too. */
function attemptFaults(
  { path, status, headers, body }: Exchange,
  template: string,
  { responses }: Operation,
): readonly string[] {
  const documented = responses['200']
  const promised =
    documented !== undefined && 'headers' in documented
      ? documented.headers['countersign-attempt']
      : undefined
  if (promised === undefined || !decodes(path)) return []
  const told = headers['countersign-attempt']
  const faults = schemaFaults(told, 'components', 'headers', 'Attempt', 'schema')
  const member =
    typeof body === 'object' && body !== null && 'attempt' in body ? body.attempt : told
  const agrees = member === told ? [] : [`${template} (${status}) tells two attempts`]
  return [...faults, ...agrees]
}

function decodes(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    // The router refuses such a path before there is an attempt.
    return false
  }
}

function resolved(
  parameter: ParameterOrReference,
  pointer: readonly (string | number)[],
): readonly [Parameter, readonly (string | number)[]] {
  if (!('$ref' in parameter)) return [parameter, pointer]
  const referred = parameter.$ref.split('/').slice(1)
  return [required(contract.components.parameters[required(referred.at(-1))]), referred]
}

function requestFaults(
  { path, requestBody, ...exchange }: Exchange,
  template: string,
  operation: Operation,
): readonly string[] {
  const method = exchange.method.toLowerCase()
  const { pathname, searchParams } = new URL(path, 'http://localhost')
  const inPath = patternOf(template).exec(pathname)?.groups ?? {}
  const ofParameters = (operation.parameters ?? []).flatMap((described, index) => {
    const [parameter, pointer] = resolved(described, [
      'paths',
      template,
      method,
      'parameters',
      index,
    ])
    const value =
      parameter.in === 'path' ? inPath[parameter.name] : searchParams.get(parameter.name)
    if (value === undefined || value === null) {
      return parameter.required === true ? [`${parameter.name} is missing`] : []
    }
    return schemaFaults(valueOf(value, parameter), ...pointer, 'schema')
  })
  if (operation.requestBody === undefined) return ofParameters
  const mediaType = required(Object.keys(operation.requestBody.content)[0])
  const pointer = ['paths', template, method, 'requestBody', 'content', mediaType, 'schema']
  const sent = mediaType === formType ? withValues(requestBody) : requestBody
  return [...ofParameters, ...schemaFaults(sent, ...pointer)]
}

/** On the wire all are texts. */
const valueOf = (text: string, { schema }: Parameter) =>
  schema['type'] === 'integer' && /^\d+$/.test(text) ? Number(text) : text

/** Parameters without a value are as if they were not sent (RFC 6749 §3.2). */
const withValues = (form: unknown) =>
  typeof form === 'object' && form !== null
    ? Object.fromEntries(Object.entries(form).filter(([, value]) => value !== ''))
    : form
