import { randomUUID } from 'node:crypto'
import type { EmulatedReply } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'

/** A refusal of the Logs Ingestion API, worded as the real one does where that is known. */
export interface MonitorError {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** Of a call, packed and unpacked. */
export const callBytesMax = 1_048_576

// Texts seen in reports of users: 403, 404 and 413. The others are recalled, or made up where nobody has shown one.

export const tokenInvalid: MonitorError = {
  status: 401,
  code: 'AuthenticationTokenInvalid',
  message: 'The authentication token provided is missing, expired, or not meant for this service.',
}

export const noAccess = (rule: string): MonitorError => ({
  status: 403,
  code: 'OperationFailed',
  message: `The authentication token provided does not have access to ingest data for the data collection rule with immutable Id '${rule}'.`,
})

export const ruleUnknown = (rule: string): MonitorError => ({
  status: 404,
  code: 'NotFound',
  message: `Data collection rule with immutable Id '${rule}' not found.`,
})

export const streamUnknown = (stream: string): MonitorError => ({
  status: 400,
  code: 'InvalidStream',
  message: `The stream '${stream}' was not configured in the data collection rule.`,
})

export const tooLarge = (bytes: number): MonitorError => ({
  status: 413,
  code: 'ContentLengthLimitExceeded',
  message: `Maximum allowed content length: ${callBytesMax} bytes (1 MB). Provided content length: ${bytes} bytes.`,
})

export const malformed = (message: string): MonitorError => ({
  status: 400,
  code: 'InvalidPayload',
  message,
})

export const versionUnknown: MonitorError = {
  status: 400,
  code: 'InvalidApiVersion',
  message: 'The api-version query parameter is missing or not supported.',
}

export const notFound: MonitorError = { status: 404, code: 'NotFound', message: 'Not found.' }

export const tooMany: MonitorError = {
  status: 429,
  code: 'RequestLimitExceeded',
  message: 'Too many requests for this data collection rule. Retry later.',
}

export const unavailable = (status: number): MonitorError => ({
  status,
  code: 'InternalServerError',
  message: 'The service is unavailable.',
})

export const errorReply = (
  { status, code, message }: MonitorError,
  headers: Readonly<Record<string, string>> = {},
): EmulatedReply =>
  jsonReply(status, { error: { code, message } }, { 'x-ms-request-id': randomUUID(), ...headers })
