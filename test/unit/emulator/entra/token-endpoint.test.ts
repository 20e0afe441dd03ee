import { decodeJwt, decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import {
  createTestEntra,
  events,
  fabrikam,
  postToken,
  signAssertion,
  tokenForm,
} from '../../../support/emulated-entra.ts'

test('a documented assertion buys a token for its tenant, application and resource', async () => {
  const { entra, clock, certificate } = await createTestEntra()
  const assertion = await signAssertion(certificate, clock.nowSeconds())
  const answer = await postToken(entra.service, tokenForm(assertion))
  expect(answer.status).toBe(200)
  const { access_token, ...rest } = answer.json
  expect(rest).toEqual({ token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599 })
  expect(decodeJwt(String(access_token))).toMatchObject({
    aud: 'https://orders.example',
    appid: events,
    tid: fabrikam,
    oid: '11111111-0000-4000-8000-0000000000b1',
  })
  const { keys } = entra.accessTokens.jwks()
  expect(decodeProtectedHeader(String(access_token)).kid).toBe(keys[0]?.kid)
  expect(answer.headers).toMatchObject({
    'cache-control': 'no-store, no-cache',
    pragma: 'no-cache',
    'x-ms-clitelem': '1,0,0,,',
  })
})
