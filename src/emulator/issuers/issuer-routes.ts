import { ControlError, parsed, type ControlRequest, type ControlRoute } from '../control.ts'
import { rotationSchema } from '../signing-keys.ts'
import type { CallerIssuer, CallerIssuers } from './caller-issuers.ts'
import { mintOrderSchema, type MintOrder } from './mint-order.ts'

export function issuerRoutes(issuers: CallerIssuers): readonly ControlRoute[] {
  const issuerOf = ({ parameters: { name = '' } }: ControlRequest): CallerIssuer => {
    const issuer = issuers.find(name)
    if (issuer !== undefined) return issuer
    const names = issuers.list().map((one) => one.name)
    throw new ControlError(404, `no issuer '${name}': there is ${names.join(', ')}`)
  }
  return [
    {
      method: 'POST',
      path: '/issuers/{name}/token',
      summary:
        'mints a caller token: {"audience": "https://…", "claims": {"ref": "refs/heads/x"}, ' +
        '"lifetimeSeconds": 60, "wrong": "signature"}',
      handle: async (request) => ({ token: await issuerOf(request).mint(orderFrom(request)) }),
    },
    {
      method: 'POST',
      path: '/issuers/{name}/jobs',
      summary:
        'starts a CI job with such claims: where it fetches its tokens, and with which secret',
      handle: (request) => {
        const issuer = issuerOf(request)
        if (issuer.jobs === undefined) {
          throw new ControlError(409, `${issuer.kind} jobs fetch no tokens: mint one instead`)
        }
        return issuer.jobs.start(orderFrom(request))
      },
    },
    {
      method: 'POST',
      path: '/issuers/{name}/keys/rotate',
      summary: 'signs with a new key; {"previous": "withdrawn"} hides the old ones',
      handle: async (request) => {
        await issuerOf(request).keys.rotate(parsed(rotationSchema, request.body).previous)
      },
    },
  ]
}

const orderFrom = ({ body }: ControlRequest): MintOrder => parsed(mintOrderSchema, body ?? {})
