import { z } from 'zod'
import { ControlError, parsed, type ControlRoute } from '../control.ts'
import type { World } from '../world.ts'
import type { IssuePrincipalToken } from './principal-tokens.ts'

const requestSchema = z.strictObject({ resource: z.string() })

export const principalRoutes = (
  { principals }: World,
  issueToken: IssuePrincipalToken,
): readonly ControlRoute[] => [
  {
    method: 'POST',
    path: '/principals/{name}/access-token',
    summary: 'an access token of a principal for itself: {"resource": "https://vault.azure.net"}',
    handle: async ({ parameters: { name = '' }, body }) => {
      const principal = principals.find((one) => one.name === name)
      if (principal === undefined) {
        const names = principals.map((one) => one.name).join(', ')
        throw new ControlError(404, `no principal '${name}': there is ${names}`)
      }
      const issued = await issueToken(principal, parsed(requestSchema, body).resource)
      if (!issued.ok) throw new ControlError(409, issued.refusal.text)
      const { accessToken, expiresInSeconds } = issued.value
      return { access_token: accessToken, token_type: 'Bearer', expires_in: expiresInSeconds }
    },
  },
]
