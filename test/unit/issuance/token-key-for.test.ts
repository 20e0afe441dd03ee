import { expect, test } from 'vitest'
import { parseClientId } from '../../../src/base/ids.ts'
import type { Application } from '../../../src/issuance/application.ts'
import { tokenKeyFor } from '../../../src/issuance/token-key-for.ts'
import { tokenKey } from '../../support/cached-tokens.ts'
import { grantName } from '../../support/grants.ts'
import { required } from '../../support/required.ts'

const { cloud, application, tenant, scope } = tokenKey()
const grant = grantName('orders')

const keyOf = (clientId: string) => {
  const parsed = required(parseClientId(clientId))
  const configured = { name: application, clientId: parsed } as Application
  return tokenKeyFor(cloud, configured, { tenant, scope }, { grant }, false)
}

test.each(['11111111-0000-4000-8000-000000000001', '22222222-0000-4000-8000-000000000002'])(
  'a token is of the application that its name is by the configuration: %s',
  (clientId) => {
    expect(keyOf(clientId)).toEqual(tokenKey({ clientId }))
  },
)
