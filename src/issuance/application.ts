import type { AssertionProfile } from '../assertion/client-assertion.ts'
import type { ApplicationName, CertificateName, ClientId } from '../base/ids.ts'

/** An Entra app registration that the service can act as. */
export interface Application {
  readonly name: ApplicationName
  readonly clientId: ClientId
  readonly certificate: CertificateName
  readonly profile: AssertionProfile
  readonly x5c: 'include' | 'omit'
}
