import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  cast,
  defaultGrants,
  type GrantFile,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

const tried = (grant: string, caller: GrantFile['caller']): GrantFile => ({
  grant,
  caller,
  may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  mode: 'dry-run',
})

let service: TestService
beforeAll(async () => {
  service = await startTestService({
    grants: [
      ...defaultGrants,
      tried('gitlab-orders', { issuer: 'gitlab', claims: { project_id: '20' } }),
      tried('narrower', { issuer: 'fabrikam', claims: { oid: cast.workloadObjectId } }),
    ],
  })
})
afterAll(() => service.stop())

describe('a grant in dry-run', () => {
  test('gives nothing, and the refusal says in the ledger that it would have', async () => {
    const token = await service.callerToken('gitlab')
    service.newEntries()
    const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })
    expect(answer.status).toBe(403)
    expect(answer.text).not.toContain('gitlab-orders')
    expect(service.newEntries()).toMatchObject([
      { kind: 'request.refused', reason: 'grant_missing', dryRun: ['gitlab-orders'] },
    ])
    expect(service.exchanges()).toEqual([])
  })

  test('does not get into the way of one that is enforced, and is written beside it', async () => {
    const token = await service.callerToken('fabrikam-orders')
    service.newEntries()
    const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })
    expect(answer.status).toBe(200)
    expect(service.newEntries().at(-1)).toMatchObject({
      kind: 'token.issued',
      grant: 'fabrikam-orders',
      dryRun: ['narrower'],
    })
  })

  test('is not mentioned where it would have given nothing either', async () => {
    const token = await service.callerToken('fabrikam-orders')
    service.newEntries()
    const json = { ...ordersAsk, scope: cast.eventHubs }
    expect((await service.ask('POST /v1/token', { token, json })).status).toBe(200)
    for (const entry of service.newEntries()) expect(entry).not.toHaveProperty('dryRun')
  })
})
