import { gzipSync } from 'node:zlib'

/** What a vault has to tell of one request, before any log gives it a shape. */
export interface AuditedRequest {
  /** UTC with seven decimals. */
  readonly time: string
  readonly operationName: string
  readonly correlationId: string
  readonly httpStatusCode: number
  readonly id?: string
  readonly requestUri: string
  readonly algorithm?: string
  readonly clientInfo: string
  readonly callerIpAddress: string
  readonly claim?: { readonly oid: string; readonly appid: string }
}

/** The bytes of a file in which Azure, or one of its tools, leaves these records. */
type Write = (requests: readonly AuditedRequest[]) => Buffer

const longObjectId = 'http://schemas.microsoft.com/identity/claims/objectidentifier'

const resourceId = '/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/V'

/** Protocol page §4.2. */
const vaultRecord = (request: AuditedRequest, index: number) => ({
  time: request.time,
  category: 'AuditEvent',
  operationName: request.operationName,
  resultType: 'Success',
  resultSignature: 'OK',
  resultDescription: '',
  correlationId: request.correlationId,
  durationMs: '33',
  callerIpAddress: request.callerIpAddress,
  resourceId,
  operationVersion: '2025-07-01',
  identity: request.claim === undefined ? {} : { claim: claimOf(request.claim, index) },
  properties: {
    ...(request.id === undefined ? {} : { id: request.id }),
    ...(request.algorithm === undefined ? {} : { algorithm: request.algorithm }),
    clientInfo: request.clientInfo,
    requestUri: request.requestUri,
    httpStatusCode: request.httpStatusCode,
    subnetId: '',
  },
})

/** Both spellings occur. */
const claimOf = (
  { oid, appid }: { readonly oid: string; readonly appid: string },
  index: number,
) =>
  index % 2 === 0
    ? { appid, appidacr: '2', oid, xms_az_nwperimid: [] }
    : { appid, appidacr: '2', [longObjectId]: oid }

/** §4.6 (d): the facts of the request stand at the top, and `identity` is text. */
const managedHsmRecord = (request: AuditedRequest, index: number) => ({
  TenantId: 'tenant',
  time: request.time,
  resourceId: resourceId.replace('VAULTS', 'MANAGEDHSMS'),
  operationName: request.operationName,
  operationVersion: '7.4',
  category: 'AuditEvent',
  resultType: 'Success',
  properties: { PoolType: 'M-HSM', sku_Family: 'B', sku_Name: 'Standard_B1' },
  durationMs: 488,
  callerIpAddress: request.callerIpAddress,
  identity: JSON.stringify(
    request.claim === undefined ? {} : { claim: claimOf(request.claim, index) },
  ),
  clientInfo: request.clientInfo,
  correlationId: request.correlationId,
  subnetId: '(unknown)',
  httpStatusCode: request.httpStatusCode,
  PoolName: 'v',
  requestUri: request.requestUri,
  resourceType: 'managedHSMs',
  ...(request.id === undefined ? {} : { id: request.id }),
  ...(request.algorithm === undefined ? {} : { algorithm: request.algorithm }),
})

/** §4.5, first table. */
const auditRow = (request: AuditedRequest, index: number) => ({
  TimeGenerated: request.time,
  OperationName: request.operationName,
  OperationVersion: '2025-07-01',
  ResultType: 'Success',
  HttpStatusCode: request.httpStatusCode,
  DurationMs: 33,
  CallerIpAddress: request.callerIpAddress,
  CorrelationId: request.correlationId,
  ClientInfo: request.clientInfo,
  RequestUri: request.requestUri,
  Id: request.id ?? '',
  Identity: request.claim === undefined ? {} : { claim: claimOf(request.claim, index) },
  Algorithm: request.algorithm ?? '',
  TenantId: 'workspace',
  Type: 'AZKVAuditLogs',
  _ResourceId: resourceId.toLowerCase(),
})

/** §4.5, second table. */
const wideRow = (request: AuditedRequest, index: number) => ({
  TimeGenerated: request.time,
  ResourceProvider: 'MICROSOFT.KEYVAULT',
  ResourceType: 'VAULTS',
  Resource: 'V',
  Category: 'AuditEvent',
  OperationName: request.operationName,
  ResultType: 'Success',
  CorrelationId: request.correlationId,
  CallerIPAddress: request.callerIpAddress,
  DurationMs: 33,
  httpStatusCode_d: request.httpStatusCode,
  requestUri_s: request.requestUri,
  clientInfo_s: request.clientInfo,
  id_s: request.id ?? '',
  algorithm_s: request.algorithm ?? '',
  identity_claim_appid_g: request.claim?.appid ?? '',
  identity_claim_oid_g: index % 2 === 0 ? (request.claim?.oid ?? '') : '',
  identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g:
    index % 2 === 0 ? '' : (request.claim?.oid ?? ''),
  Type: 'AzureDiagnostics',
})

const lines = (values: readonly unknown[]): Buffer =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))

/** Batches of three, one body after the other, as a consumer of Event Hubs appends them. */
function bodies(values: readonly unknown[]): Buffer {
  const batches = Array.from({ length: Math.ceil(values.length / 3) }, (_, index) => ({
    records: values.slice(index * 3, index * 3 + 3),
  }))
  return Buffer.from(batches.map((batch) => JSON.stringify(batch)).join(''))
}

const cell = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** RFC 4180, as the portal and PowerShell write it. */
export const commaSeparated = (rows: readonly Readonly<Record<string, unknown>>[]): Buffer =>
  Buffer.from(
    [Object.keys(rows[0] ?? { TimeGenerated: '' }), ...rows.map((row) => Object.values(row))]
      .map((cells) => `${cells.map(cell).join(',')}\r\n`)
      .join(''),
  )

/** Everything as text, as `az monitor log-analytics query` writes it. */
const asText = (row: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )

/** The portal's own form of a time, in milliseconds. */
const portalTime = (iso: string): string => {
  const [, year, month, day, hour, minute, second, ms] =
    /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d{3})/.exec(iso) ?? []
  const half = Number(hour) < 12 ? 'AM' : 'PM'
  return `${Number(month)}/${Number(day)}/${year}, ${Number(hour) % 12 || 12}:${minute}:${second}.${ms} ${half}`
}

const portalRow = ({ TimeGenerated, ...row }: ReturnType<typeof auditRow>) => ({
  'TimeGenerated [UTC]': portalTime(TimeGenerated),
  ...row,
})

export const vaultLogShapes: Readonly<Record<string, Write>> = {
  'JSON Lines': (requests) => lines(requests.map(vaultRecord)),
  'a wrapper': (requests) => Buffer.from(JSON.stringify({ records: requests.map(vaultRecord) })),
  'a list in many lines': (requests) =>
    Buffer.from(JSON.stringify(requests.map(vaultRecord), undefined, 2)),
  'compressed JSON Lines': (requests) => gzipSync(lines(requests.map(vaultRecord))),
  'bodies of Event Hubs': (requests) => bodies(requests.map(vaultRecord)),
  'Managed HSM': (requests) => lines(requests.map(managedHsmRecord)),
  'AZKVAuditLogs in JSON Lines': (requests) => lines(requests.map(auditRow)),
  'AZKVAuditLogs in a list of texts': (requests) =>
    Buffer.from(
      JSON.stringify(
        requests.map((request, index) => asText(auditRow(request, index))),
        undefined,
        2,
      ),
    ),
  'AZKVAuditLogs in comma-separated values': (requests) => commaSeparated(requests.map(auditRow)),
  'AzureDiagnostics in JSON Lines': (requests) => lines(requests.map(wideRow)),
  'AzureDiagnostics in comma-separated values': (requests) => commaSeparated(requests.map(wideRow)),
  'compressed comma-separated values': (requests) =>
    gzipSync(commaSeparated(requests.map(wideRow))),
  "the portal's comma-separated values, in milliseconds": (requests) =>
    commaSeparated(requests.map((request, index) => portalRow(auditRow(request, index)))),
}
