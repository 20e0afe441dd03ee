import {
  type ApplicationName,
  nameRule,
  parseApplicationName,
  parseTenantId,
  type TenantId,
} from '../base/ids.ts'
import { RequestProblem } from './request-problem.ts'

/** @throws RequestProblem when the text cannot be the name of any application. */
export function applicationFrom(text: string): ApplicationName {
  const application = parseApplicationName(text)
  if (application !== undefined) return application
  throw new RequestProblem('request_invalid', `The application must be a name: ${nameRule}.`)
}

/** @throws RequestProblem when the text is no GUID: domain names of tenants are not taken. */
export function tenantFrom(text: string): TenantId {
  const tenant = parseTenantId(text)
  if (tenant !== undefined) return tenant
  throw new RequestProblem('request_invalid', 'The tenant must be a GUID, not a domain name.')
}
