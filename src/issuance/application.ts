import type { AssertionProfile } from '../assertion/client-assertion.ts'
import type { ApplicationName, CertificateName, ClientId } from '../base/ids.ts'

/** An Entra app registration that the service can act as. */
export interface Application {
  readonly name: ApplicationName
  readonly clientId: ClientId
  readonly certificate: CertificateName
  readonly profile: AssertionProfile
  readonly x5c: 'include' | 'omit'
  /** How the ids of the key versions begin that its certificate has, in either place; in lower case. */
  readonly keyIdsBegin: readonly string[]
}

/** Whether the key version is one of the application's certificate: in either place, and whichever it is. */
export function hasKey({ keyIdsBegin }: Pick<Application, 'keyIdsBegin'>, keyId: string): boolean {
  const lower = keyId.toLowerCase()
  return keyIdsBegin.some((beginning) => lower.startsWith(beginning))
}
