import { randomBytes } from 'node:crypto'
import type { EmulatedReply, EmulatedRequest } from '../exchange.ts'
import type { Struck } from '../faults.ts'
import type { Performed } from './performed.ts'
import { errorBody } from './vault-error.ts'

export interface ReplyContext {
  readonly request: EmulatedRequest
  readonly requestId: string
  readonly region: string
  /** The `WWW-Authenticate` of a 401. */
  readonly challenge: string
  /** May make the answer a lie: `wrong-signature`, `wrong-key-id`. */
  readonly fault: Struck | undefined
}

/** The response on the wire, with the headers that every answer of a vault has. */
export function replyFrom(performed: Performed, context: ReplyContext): EmulatedReply {
  const { request, requestId, region, challenge, fault } = context
  const status = performed.ok ? 200 : performed.error.status
  const clientRequestId = request.headers['x-ms-client-request-id']
  return {
    kind: 'answer',
    status,
    headers: {
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      expires: '-1',
      'content-type': 'application/json; charset=utf-8',
      'x-ms-keyvault-region': region,
      ...(clientRequestId === undefined ? {} : { 'x-ms-client-request-id': clientRequestId }),
      'x-ms-request-id': requestId,
      'x-ms-keyvault-service-version': '1.9.79.2',
      'x-ms-keyvault-network-info': networkInfo(request.remoteAddress),
      'x-powered-by': 'ASP.NET',
      'strict-transport-security': 'max-age=31536000;includeSubDomains',
      'x-content-type-options': 'nosniff',
      ...(status === 401 ? { 'www-authenticate': challenge } : {}),
    },
    body: performed.ok ? spoilt(performed.body, fault) : json(errorBody(performed.error)),
  }
}

/** Other values of `conn_type` than Ipv4 have not been seen. */
const networkInfo = (address: string) =>
  `conn_type=Ipv4;addr=${address.replace(/^::ffff:/, '')};act_addr_fam=InterNetwork;`

const json = (body: object) => Buffer.from(JSON.stringify(body), 'utf8')

function spoilt(body: Readonly<Record<string, unknown>>, fault: Struck | undefined): Buffer {
  if (fault?.kind === 'wrong-signature') {
    return json({ ...body, value: alteredSignature(body['value']) })
  }
  if (fault?.kind === 'wrong-key-id') return json({ ...body, kid: otherVersion(body['kid']) })
  return json(body)
}

/** One bit off: as long as a right one, and verified by nobody. */
function alteredSignature(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const bytes = Buffer.from(value, 'base64url')
  const last = bytes.length - 1
  bytes.writeUInt8(bytes.readUInt8(last) ^ 1, last)
  return bytes.toString('base64url')
}

/** Names a version that does not exist. */
const otherVersion = (keyId: unknown) =>
  typeof keyId === 'string'
    ? keyId.replace(/[0-9a-f]{32}$/, randomBytes(16).toString('hex'))
    : keyId
