import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import { z } from 'zod'
import { type AttemptId, parseGrantName, parseIssuerName, parseRevocationId } from '../base/ids.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import type { RevocationMade, RevokedOnRecord } from '../ledger/entry.ts'
import type { Outstanding } from '../revocation/outstanding.ts'
import {
  lift,
  listRevocations,
  type RevocationAsker,
  type RevocationDeps,
  revoke,
} from '../revocation/revoke.ts'
import { jsonAnswer } from './answer.ts'
import { applicationFrom, tenantFrom } from './ask.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { readJsonBody } from './json-body.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'

/** Who a request comes from: by what it presents, or by where it came in. */
export type AskerOf = (request: IncomingMessage) => RevocationAsker

export const askerByProofs: AskerOf = (request) => ({
  by: 'proofs',
  proofs: presentedProofsOf(request),
})

export const askerByLocalSocket: AskerOf = () => ({ by: 'local-socket' })

export type RevocationRoutesDeps = RevocationDeps &
  Pick<IssuanceDeps, 'events' | 'underWay'> & {
    /** What of it is out there. */
    readonly outstanding: (revoked: RevokedOnRecord) => Promise<Outstanding>
  }

/** Body of `POST /v1/revocations`; `openapi.yaml` says the same. */
export const revocationRequestSchema = z.strictObject({
  caller: z
    .strictObject({ issuer: z.string().min(1).max(63), subject: z.string().min(1).max(512) })
    .optional(),
  grant: z.string().min(1).max(63).optional(),
  issuer: z.string().min(1).max(63).optional(),
  application: z.string().min(1).max(63).optional(),
  tenant: z.string().length(36).optional(),
  keyVersion: z.string().min(1).max(500).optional(),
  reason: z.string().min(1).max(200).optional(),
  lockout: z.enum(['refuse', 'accept']).optional(),
})

type RevocationBody = z.output<typeof revocationRequestSchema>

/** `POST /v1/revocations`: stops something, at once here and for whatever any replica decides from now on. */
export function revokeRoute(inForce: () => RevocationRoutesDeps, askerOf: AskerOf): AttemptRoute {
  return attemptRoute(async (request, attempt) => {
    const deps = inForce()
    const body = await readJsonBody(request, revocationRequestSchema)
    const outcome = await revoke(
      {
        attempt,
        asker: askerOf(request),
        revoked: revokedFrom(body),
        lockout: body.lockout ?? 'refuse',
        ...reasonFrom(body.reason),
      },
      deps,
    )
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    const { made } = outcome
    const outstanding = await outstandingOf(made, attempt, deps)
    return jsonAnswer(200, { revocation: revocationMember(made), outstanding, attempt })
  }, inForce())
}

/** It is revoked whether or not that can be told: undefined when it cannot. */
async function outstandingOf(
  { revoked }: RevocationMade,
  attempt: AttemptId,
  { outstanding, events }: RevocationRoutesDeps,
): Promise<Outstanding | undefined> {
  try {
    return await outstanding(revoked)
  } catch (error) {
    events.failed(attempt, 'LEDGER_UNREADABLE', error)
    return undefined
  }
}

/** `DELETE /v1/revocations/{id}`: lets it go on. */
export function liftRoute(
  inForce: () => RevocationRoutesDeps,
  askerOf: AskerOf,
): AttemptRoute<Request> {
  return attemptRoute(async (request, attempt) => {
    const deps = inForce()
    const id = parseRevocationId(String(request.params['id']))
    if (id === undefined) {
      throw new RequestProblem('request_invalid', 'The id of a revocation must be a GUID.')
    }
    const outcome = await lift({ attempt, asker: askerOf(request), id }, deps)
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    return jsonAnswer(200, { lifted: id, epoch: outcome.lifted.epoch, attempt })
  }, inForce())
}

/** `GET /v1/revocations`: what stands. */
export function listRevocationsRoute(
  inForce: () => RevocationRoutesDeps,
  askerOf: AskerOf,
): AttemptRoute {
  return attemptRoute(async (request, attempt) => {
    const outcome = await listRevocations({ attempt, asker: askerOf(request) }, inForce())
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    const { epoch, made } = outcome.standing
    return jsonAnswer(200, { revocations: made.map(revocationMember), epoch, attempt })
  }, inForce())
}

function revocationMember({ revocation, revoked, caller, atMs, reason, epoch }: RevocationMade) {
  const { issuer, subject } = caller
  return { id: revocation, revoked, sinceMs: atMs, by: { issuer, subject }, reason, epoch }
}

function revokedFrom(body: RevocationBody): RevokedOnRecord {
  const named = revokedIn(body)
  const [only] = named
  if (only !== undefined && named.length === 1) return only
  throw new RequestProblem(
    'request_invalid',
    'Name one thing to stop: caller, grant, issuer, application, tenant or keyVersion.',
  )
}

function revokedIn({
  caller,
  grant,
  issuer,
  application,
  tenant,
  keyVersion,
}: RevocationBody): readonly RevokedOnRecord[] {
  return [
    ...(caller === undefined ? [] : [callerFrom(caller)]),
    ...(grant === undefined ? [] : [{ what: 'grant', grant: grantFrom(grant) } as const]),
    ...(issuer === undefined ? [] : [{ what: 'issuer', issuer: issuerFrom(issuer) } as const]),
    ...(application === undefined
      ? []
      : [{ what: 'application', application: applicationFrom(application) } as const]),
    ...(tenant === undefined ? [] : [{ what: 'tenant', tenant: tenantFrom(tenant) } as const]),
    ...(keyVersion === undefined
      ? []
      : [{ what: 'key-version', keyId: keyIdFrom(keyVersion) } as const]),
  ]
}

function callerFrom({ issuer, subject }: NonNullable<RevocationBody['caller']>) {
  // No caller has such a name, and no entry could hold it.
  if (!subject.isWellFormed()) {
    throw new RequestProblem('request_invalid', 'The subject must be text without lone surrogates.')
  }
  return { what: 'caller', issuer: issuerFrom(issuer), subject } as const
}

function issuerFrom(text: string) {
  const issuer = parseIssuerName(text)
  if (issuer !== undefined) return issuer
  throw new RequestProblem('request_invalid', 'The issuer must be a name of the configuration.')
}

function grantFrom(text: string) {
  const grant = parseGrantName(text)
  if (grant !== undefined) return grant
  throw new RequestProblem('request_invalid', 'The grant must be the name that its file gives it.')
}

const keyVersionForm = /^https:\/\/[^/\s]+\/keys\/[^/\s]+\/[^/\s]+$/

function keyIdFrom(text: string): string {
  if (keyVersionForm.test(text)) return text
  throw new RequestProblem(
    'request_invalid',
    'The key version must be its id, https://VAULT/keys/NAME/VERSION.',
  )
}

/** It is shown to people who would rather not have their terminal obey it. */
function reasonFrom(reason: string | undefined) {
  if (reason === undefined) return {}
  if (!/[\p{C}\p{Zl}\p{Zp}]/u.test(reason)) return { reason }
  throw new RequestProblem('request_invalid', 'The reason must be one line of text that prints.')
}
