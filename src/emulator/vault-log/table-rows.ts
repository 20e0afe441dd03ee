import { workspaceId } from '../entra-log/sign-in.ts'
import type { VaultRecord } from './record.ts'

/** A record of a vault as Log Analytics has it, in the table of Key Vault and in the older one of all services. */

/** `AZKVAuditLogs`. */
export const auditRow = (record: VaultRecord) => {
  const { properties } = record
  return {
    TimeGenerated: record.time,
    OperationName: record.operationName,
    OperationVersion: record.operationVersion,
    ResultType: record.resultType,
    ResultSignature: record.resultSignature,
    ResultDescription: record.resultDescription,
    HttpStatusCode: properties.httpStatusCode,
    DurationMs: Number(record.durationMs),
    CallerIpAddress: record.callerIpAddress,
    CorrelationId: record.correlationId,
    ClientInfo: properties['clientInfo'],
    RequestUri: properties['requestUri'],
    Id: properties['id'] ?? '',
    Identity: record.identity,
    Algorithm: properties['algorithm'] ?? '',
    AppliedAssignmentId: properties['appliedAssignmentId'] ?? '',
    IsRbacAuthorized: properties['isRbacAuthorized'] ?? null,
    IsAccessPolicyMatch: properties['isAccessPolicyMatch'] ?? null,
    SubnetId: properties['subnetId'],
    Tlsversion: properties['tlsVersion'] ?? '',
    TenantId: workspaceId,
    Type: 'AZKVAuditLogs',
    _ResourceId: record.resourceId.toLowerCase(),
  }
}

/** `AzureDiagnostics`: the type of a column stands behind its name. */
export const wideRow = (record: VaultRecord) => {
  const { properties } = record
  const claim = record.identity.claim ?? {}
  return {
    TimeGenerated: record.time,
    ResourceProvider: 'MICROSOFT.KEYVAULT',
    ResourceType: 'VAULTS',
    Resource: record.resourceId.split('/').at(-1),
    ResourceId: record.resourceId,
    Category: record.category,
    OperationName: record.operationName,
    OperationVersion: record.operationVersion,
    ResultType: record.resultType,
    ResultSignature: record.resultSignature,
    ResultDescription: record.resultDescription,
    CorrelationId: record.correlationId,
    CallerIPAddress: record.callerIpAddress,
    DurationMs: Number(record.durationMs),
    httpStatusCode_d: properties.httpStatusCode,
    requestUri_s: properties['requestUri'],
    clientInfo_s: properties['clientInfo'],
    id_s: properties['id'] ?? '',
    algorithm_s: properties['algorithm'] ?? '',
    tlsVersion_s: properties['tlsVersion'] ?? '',
    subnetId_s: properties['subnetId'],
    isRbacAuthorized_b: properties['isRbacAuthorized'] ?? null,
    isAccessPolicyMatch_b: properties['isAccessPolicyMatch'] ?? null,
    appliedAssignmentId_g: properties['appliedAssignmentId'] ?? '',
    identity_claim_oid_g: claim['oid'] ?? '',
    identity_claim_appid_g: claim['appid'] ?? '',
    identity_claim_appidacr_s: claim['appidacr'] ?? '',
    identity_claim_xms_mirid_s: claim['xms_mirid'] ?? '',
    TenantId: workspaceId,
    Type: 'AzureDiagnostics',
  }
}
