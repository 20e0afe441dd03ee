import { commaSeparated } from './vault-log-shapes.ts'

/** What Entra has to tell of one sign-in, before any log gives it a shape. */
export interface EntraSignIn {
  readonly time: string
  readonly id: string
  readonly correlationId: string
  readonly uti: string
  readonly appId: string
  readonly servicePrincipalId: string
  readonly tenant: string
  readonly errorCode: number
  readonly keyId: string
  readonly thumbprint: string
  readonly federatedId: string
  readonly ipAddress: string
  readonly resource: string
}

export const graphSignIn = (signIn: EntraSignIn) => ({
  id: signIn.id,
  createdDateTime: signIn.time,
  appId: signIn.appId,
  appDisplayName: 'events',
  servicePrincipalId: signIn.servicePrincipalId,
  servicePrincipalName: 'events',
  servicePrincipalCredentialKeyId: signIn.keyId,
  servicePrincipalCredentialThumbprint: signIn.thumbprint,
  federatedCredentialId: signIn.federatedId,
  ipAddress: signIn.ipAddress,
  correlationId: signIn.correlationId,
  uniqueTokenIdentifier: signIn.uti,
  resourceDisplayName: signIn.resource,
  resourceTenantId: signIn.tenant,
  signInEventTypes: ['servicePrincipal'],
  status: { errorCode: signIn.errorCode, failureReason: null },
})

export const signInRecord = (signIn: EntraSignIn) => ({
  time: signIn.time,
  resourceId: `/tenants/${signIn.tenant}/providers/Microsoft.aadiam`,
  operationName: 'Sign-in activity',
  category: 'ServicePrincipalSignInLogs',
  tenantId: signIn.tenant,
  resultType: String(signIn.errorCode),
  correlationId: signIn.correlationId,
  properties: graphSignIn(signIn),
})

const signInRow = (signIn: EntraSignIn) => ({
  TenantId: 'workspace',
  TimeGenerated: signIn.time,
  OperationName: 'Sign-in activity',
  Category: 'ServicePrincipalSignInLogs',
  Id: signIn.id,
  AppId: signIn.appId,
  AADTenantId: signIn.tenant,
  ServicePrincipalId: signIn.servicePrincipalId,
  ServicePrincipalCredentialKeyId: signIn.keyId,
  ServicePrincipalCredentialThumbprint: signIn.thumbprint,
  FederatedCredentialId: signIn.federatedId,
  IPAddress: signIn.ipAddress,
  CorrelationId: signIn.correlationId,
  UniqueTokenIdentifier: signIn.uti,
  ResourceDisplayName: signIn.resource,
  ResultType: String(signIn.errorCode),
})

/** What Entra has to tell of one change of its directory. */
export interface EntraAudit {
  readonly time: string
  readonly id: string
  readonly correlationId: string
  readonly activity: string
  readonly result: string
  readonly tenant: string
  readonly by: { readonly user: object } | { readonly app: object }
  readonly target: { readonly id: string; readonly displayName: string; readonly type: string }
  readonly appId: string
  readonly changes: readonly {
    readonly displayName: string
    readonly oldValue: string | null
    readonly newValue: string | null
  }[]
}

export const graphAudit = (audit: EntraAudit) => ({
  id: audit.id,
  category: 'ApplicationManagement',
  correlationId: audit.correlationId,
  result: audit.result,
  activityDisplayName: audit.activity,
  activityDateTime: audit.time,
  loggedByService: 'Core Directory',
  initiatedBy: { app: null, user: null, ...audit.by },
  targetResources: [{ ...audit.target, modifiedProperties: audit.changes }],
  additionalDetails: [{ key: 'AppId', value: audit.appId }],
})

export const auditRecord = (audit: EntraAudit) => ({
  time: audit.time,
  operationName: audit.activity,
  category: 'AuditLogs',
  tenantId: audit.tenant,
  correlationId: audit.correlationId,
  properties: graphAudit(audit),
})

const auditRow = (audit: EntraAudit) => ({
  TenantId: 'workspace',
  TimeGenerated: audit.time,
  OperationName: audit.activity,
  ActivityDisplayName: audit.activity,
  Id: audit.id,
  CorrelationId: audit.correlationId,
  Result: audit.result,
  AADTenantId: audit.tenant,
  InitiatedBy: graphAudit(audit).initiatedBy,
  TargetResources: graphAudit(audit).targetResources,
  AdditionalDetails: graphAudit(audit).additionalDetails,
})

type Shapes<Event> = Readonly<Record<string, (events: readonly Event[]) => Buffer>>

const lines = (values: readonly unknown[]): Buffer =>
  Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))

/** Of these forms, all that leave nothing out. */
function shapesOf<Event>(
  record: (event: Event) => unknown,
  graph: (event: Event) => unknown,
  row: (event: Event) => Readonly<Record<string, unknown>>,
): Shapes<Event> {
  return {
    'blobs of a diagnostic setting': (events) => lines(events.map(record)),
    'a page of Microsoft Graph': (events) =>
      Buffer.from(
        JSON.stringify(
          { '@odata.context': 'https://graph.microsoft.com/beta', value: events.map(graph) },
          undefined,
          2,
        ),
      ),
    'a table in JSON Lines': (events) => lines(events.map(row)),
    'a table in a list': (events) => Buffer.from(JSON.stringify(events.map(row))),
    'a table in comma-separated values': (events) => commaSeparated(events.map(row)),
  }
}

export const signInShapes = shapesOf(signInRecord, graphSignIn, signInRow)
export const auditShapes = shapesOf(auditRecord, graphAudit, auditRow)
