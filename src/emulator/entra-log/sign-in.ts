import type { RegisteredCertificate } from '../entra/application-certificates.ts'
import type { DirectoryClient, DirectoryTenant } from '../entra/directory.ts'
import type { ExchangeRecord } from '../entra/exchange-log.ts'
import { guidFrom } from './guid.ts'

/** What Entra knows of one sign-in of an application, before any log gives it a shape. */
export interface SignIn {
  readonly tenant: DirectoryTenant
  readonly client: DirectoryClient
  readonly exchange: ExchangeRecord
  /** That the assertion was verified with; undefined where none was. */
  readonly certificate: RegisteredCertificate | undefined
  readonly remoteAddress: string
}

/** `signIn` of Microsoft Graph (beta), of a service principal. */
export function graphSignIn({ tenant, client, exchange, certificate, remoteAddress }: SignIn) {
  const { outcome } = exchange
  const errorCode = outcome.kind === 'refused' ? outcome.code : 0
  return {
    id: exchange.traceId,
    createdDateTime: exchange.time,
    appId: client.clientId,
    appDisplayName: client.name,
    servicePrincipalId: client.objectId,
    servicePrincipalName: client.name,
    servicePrincipalCredentialKeyId: certificate === undefined ? '' : keyIdOf(certificate),
    servicePrincipalCredentialThumbprint: certificate === undefined ? '' : thumbprint(certificate),
    federatedCredentialId: '',
    ipAddress: remoteAddress.replace(/^::ffff:/, ''),
    correlationId: exchange.correlationId,
    uniqueTokenIdentifier: outcome.kind === 'issued' ? outcome.uti : '',
    resourceDisplayName: exchange.scope?.replace(/\/\.default$/, '') ?? '',
    resourceTenantId: tenant.id,
    signInEventTypes: ['servicePrincipal'],
    status: { errorCode, failureReason: errorCode === 0 ? '' : 'refused', additionalDetails: '' },
  }
}

/** A registration gives each of its certificates an id; here it follows from the certificate. */
export const keyIdOf = ({ x5tS256 }: RegisteredCertificate): string => guidFrom(x5tS256)

/** As Entra writes it: hex of SHA-1, in upper case. */
export const thumbprint = ({ x5t }: RegisteredCertificate): string =>
  Buffer.from(x5t, 'base64url').toString('hex').toUpperCase()

/** As a diagnostic setting writes it to a storage account. */
export function signInRecord(signIn: SignIn) {
  const properties = graphSignIn(signIn)
  const { errorCode } = properties.status
  return {
    time: properties.createdDateTime,
    resourceId: `/tenants/${signIn.tenant.id}/providers/Microsoft.aadiam`,
    operationName: 'Sign-in activity',
    operationVersion: '1.0',
    category: 'ServicePrincipalSignInLogs',
    tenantId: signIn.tenant.id,
    resultType: String(errorCode),
    resultSignature: 'None',
    resultDescription: properties.status.failureReason,
    durationMs: 0,
    callerIpAddress: properties.ipAddress,
    correlationId: properties.correlationId,
    Level: 4,
    properties,
  }
}

/** `AADServicePrincipalSignInLogs`; `TenantId` is the workspace's. */
export function signInRow(signIn: SignIn) {
  const graph = graphSignIn(signIn)
  return {
    TimeGenerated: graph.createdDateTime,
    CreatedDateTime: graph.createdDateTime,
    OperationName: 'Sign-in activity',
    Category: 'ServicePrincipalSignInLogs',
    Id: graph.id,
    AppId: graph.appId,
    ServicePrincipalId: graph.servicePrincipalId,
    ServicePrincipalName: graph.servicePrincipalName,
    ServicePrincipalCredentialKeyId: graph.servicePrincipalCredentialKeyId,
    ServicePrincipalCredentialThumbprint: graph.servicePrincipalCredentialThumbprint,
    FederatedCredentialId: graph.federatedCredentialId,
    IPAddress: graph.ipAddress,
    CorrelationId: graph.correlationId,
    UniqueTokenIdentifier: graph.uniqueTokenIdentifier,
    ResourceDisplayName: graph.resourceDisplayName,
    ResourceTenantId: graph.resourceTenantId,
    ResultType: String(graph.status.errorCode),
    ResultDescription: graph.status.failureReason,
    TenantId: workspaceId,
    Type: 'AADServicePrincipalSignInLogs',
  }
}

/** Of the workspace that the tables are in. */
export const workspaceId = 'e0000000-0000-4000-8000-0000000000aa'
