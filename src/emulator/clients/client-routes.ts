import { parsed, type ControlRoute } from '../control.ts'
import type { ClientAuthority } from './client-authority.ts'
import { clientOrderSchema } from './client-order.ts'

export const clientRoutes = (clients: ClientAuthority): readonly ControlRoute[] => [
  {
    method: 'POST',
    path: '/clients/certificate',
    summary:
      'a client certificate and its key: {"names": ["spiffe://…"], "lifetimeSeconds": 60, ' +
      '"wrong": "expired"}',
    handle: ({ body }) => clients.issue(parsed(clientOrderSchema, body ?? {})),
  },
]
