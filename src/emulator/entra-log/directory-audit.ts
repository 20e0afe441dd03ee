import type { RegisteredCertificate } from '../entra/application-certificates.ts'
import type { DirectoryTenant } from '../entra/directory.ts'
import { keyIdOf, workspaceId } from './sign-in.ts'

/** A change of an application's certificates, before any log gives it a shape. */
export interface CredentialsChange {
  /** Of the audit's own. */
  readonly id: string
  /** ISO 8601. */
  readonly time: string
  /** Where the application is registered. */
  readonly tenant: DirectoryTenant
  readonly application: {
    readonly name: string
    readonly clientId: string
    readonly objectId: string
  }
  readonly before: readonly RegisteredCertificate[]
  readonly after: readonly RegisteredCertificate[]
}

/** The dash is as long as that. */
const activity = 'Update application – Certificates and secrets management '

/** Entra's own form of a credential, inside a list of texts. */
const keyDescriptions = (certificates: readonly RegisteredCertificate[], name: string) =>
  JSON.stringify(
    certificates.map(
      (one) =>
        `[KeyIdentifier=${keyIdOf(one)},KeyType=AsymmetricX509Cert,KeyUsage=Verify,DisplayName=CN=${name}]`,
    ),
  )

/** `directoryAudit` of Microsoft Graph. */
export function graphDirectoryAudit({ id, time, application, before, after }: CredentialsChange) {
  const { name, objectId } = application
  return {
    id,
    category: 'ApplicationManagement',
    correlationId: id,
    result: 'success',
    resultReason: '',
    activityDisplayName: activity,
    activityDateTime: time,
    loggedByService: 'Core Directory',
    operationType: 'Update',
    initiatedBy: {
      app: null,
      user: {
        id: 'e0000000-0000-4000-8000-0000000000bb',
        displayName: null,
        userPrincipalName: 'operator@emulated.example',
        ipAddress: '127.0.0.1',
      },
    },
    targetResources: [
      {
        id: objectId,
        displayName: name,
        type: 'Application',
        modifiedProperties: [
          {
            displayName: 'KeyDescription',
            oldValue: keyDescriptions(before, name),
            newValue: keyDescriptions(after, name),
          },
          {
            displayName: 'Included Updated Properties',
            oldValue: null,
            newValue: '"KeyDescription"',
          },
        ],
      },
    ],
    additionalDetails: [{ key: 'AppId', value: application.clientId }],
  }
}

/** As a diagnostic setting writes it to a storage account. */
export function directoryAuditRecord(change: CredentialsChange) {
  const properties = graphDirectoryAudit(change)
  return {
    time: properties.activityDateTime,
    resourceId: `/tenants/${change.tenant.id}/providers/Microsoft.aadiam`,
    operationName: properties.activityDisplayName,
    operationVersion: '1.0',
    category: 'AuditLogs',
    tenantId: change.tenant.id,
    resultSignature: 'None',
    durationMs: 0,
    callerIpAddress: '127.0.0.1',
    correlationId: properties.correlationId,
    Level: 4,
    properties,
  }
}

/** `AuditLogs`; `TenantId` is the workspace's. */
export function directoryAuditRow(change: CredentialsChange) {
  const graph = graphDirectoryAudit(change)
  return {
    TimeGenerated: graph.activityDateTime,
    ActivityDateTime: graph.activityDateTime,
    ActivityDisplayName: graph.activityDisplayName,
    OperationName: graph.activityDisplayName,
    Category: graph.category,
    Id: graph.id,
    CorrelationId: graph.correlationId,
    Result: graph.result,
    LoggedByService: graph.loggedByService,
    InitiatedBy: graph.initiatedBy,
    TargetResources: graph.targetResources,
    AdditionalDetails: graph.additionalDetails,
    AADTenantId: change.tenant.id,
    TenantId: workspaceId,
    Type: 'AuditLogs',
  }
}
