import type { Secret } from '../base/secret.ts'

/** Who the agent speaks for, as the platform proves it to the service. */
export interface WorkloadIdentity {
  /**
   * The workload's own token, as it is now: asked for each request to the service, and never kept here.
   * Undefined when the connection proves the workload.
   *
   * @throws Error of any kind when there is none; its words are for the agent's log alone.
   */
  token(): Promise<Secret<string> | undefined>
}

/** The form of a compact JWT (RFC 7515 §7.1): what a file holds that is half-written has it rarely. */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * @param origin Completes "… holds no token", for the log.
 * @throws Error when the text is no compact JWT; nothing of the text is in it.
 */
export function parseOwnToken(text: string, origin: string): string {
  const token = text.trim()
  if (token.length <= 16_384 && compactForm.test(token)) return token
  throw new Error(`${origin} holds no token, or not the whole of one`)
}

/** The connections to the service show its certificate. */
export const byCertificate: WorkloadIdentity = { token: () => Promise.resolve(undefined) }

/**
 * The workload's own token, for somebody else than the service.
 *
 * @throws Error when there is none.
 */
export async function ownTokenOf(identity: WorkloadIdentity): Promise<Secret<string>> {
  const token = await identity.token()
  if (token === undefined) throw new Error('the workload has a certificate, and no token')
  return token
}
