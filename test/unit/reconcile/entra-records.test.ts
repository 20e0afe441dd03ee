import { describe, expect, it } from 'vitest'
import { directoryAuditFrom } from '../../../src/reconcile/directory-audit.ts'
import { signInRecordFrom } from '../../../src/reconcile/sign-in-record.ts'
import { auditRecord, graphSignIn, signInRecord } from '../../support/audit/entra-log-shapes.ts'

const signIn = {
  time: '2026-11-22T04:56:16.1234567Z',
  id: 'A1000000-0000-4000-8000-000000000001',
  correlationId: 'B2000000-0000-4000-8000-000000000001',
  uti: 'uti-of-the-token_AAAAA',
  appId: '11111111-0000-4000-8000-00000000000A',
  servicePrincipalId: '22222222-0000-4000-8000-00000000000B',
  tenant: 'FAB00000-0000-4000-8000-000000000002',
  errorCode: 700027,
  keyId: '',
  thumbprint: 'c19d30187539475bfe2624befbfc6add4bc7ebda',
  federatedId: '',
  ipAddress: '203.0.113.9',
  resource: 'https://eventhubs.azure.net',
}

const audit = {
  time: '2026-11-22T04:56:16Z',
  id: 'A',
  correlationId: 'B',
  activity: 'Update application – Certificates and secrets management ',
  result: 'Success',
  tenant: 'T',
  by: { user: { id: 'U', userPrincipalName: 'mallory@contoso.example' } },
  target: { id: 'O', displayName: 'events', type: 'Application' },
  appId: 'C',
  changes: [{ displayName: 'KeyDescription', oldValue: '[]', newValue: '["[KeyIdentifier=1]"]' }],
}

describe('a sign-in', () => {
  it('is read with all its evidence, ids in one spelling', () => {
    expect(signInRecordFrom(signInRecord(signIn))).toEqual({
      kind: 'sign-in',
      time: '2026-11-22T04:56:16.1234567Z',
      timeMs: Date.parse('2026-11-22T04:56:16.123Z'),
      id: 'a1000000-0000-4000-8000-000000000001',
      correlationId: 'b2000000-0000-4000-8000-000000000001',
      uti: 'uti-of-the-token_AAAAA',
      appId: '11111111-0000-4000-8000-00000000000a',
      servicePrincipalId: '22222222-0000-4000-8000-00000000000b',
      tenant: 'fab00000-0000-4000-8000-000000000002',
      errorCode: 700027,
      credential: { thumbprint: 'C19D30187539475BFE2624BEFBFC6ADD4BC7EBDA' },
      ipAddress: '203.0.113.9',
      resource: 'https://eventhubs.azure.net',
    })
  })

  it.each([
    ['is no object', [], 'it is not a JSON object'],
    ['is of no application', { ...graphSignIn(signIn), appId: 7 }, 'it has no appId'],
    ['is of no time', { ...graphSignIn(signIn), createdDateTime: 'today' }, 'it has no time'],
    [
      'has no end',
      { ...graphSignIn(signIn), status: 'ok' },
      'it does not say how the sign-in ended',
    ],
  ])('is not understood when it %s', (_, value, why) => {
    expect(signInRecordFrom(value)).toEqual({ kind: 'not-understood', why })
  })
})

describe('a change of a directory', () => {
  it('is read with who did it, to what, before and after', () => {
    expect(directoryAuditFrom(auditRecord(audit))).toEqual({
      kind: 'directory-audit',
      time: '2026-11-22T04:56:16Z',
      timeMs: Date.parse('2026-11-22T04:56:16Z'),
      id: 'a',
      correlationId: 'b',
      activity: 'Update application – Certificates and secrets management',
      result: 'success',
      tenant: 't',
      initiator: { userId: 'u', userName: 'mallory@contoso.example' },
      targets: [
        {
          id: 'o',
          name: 'events',
          type: 'Application',
          appId: 'c',
          changes: [{ name: 'KeyDescription', before: '[]', after: '["[KeyIdentifier=1]"]' }],
        },
      ],
    })
  })

  it('has no more targets and changes than can be kept, of whatever was written', () => {
    const targetResources = Array.from({ length: 5000 }, () => ({
      id: 7,
      modifiedProperties: Array.from({ length: 60 }, () => ({ newValue: 'x'.repeat(5000) })),
    }))
    const read = directoryAuditFrom({ ...auditRecord(audit), properties: { targetResources } })
    expect(JSON.stringify(read).length).toBeLessThan(10 * 50 * 5000)
    expect(read).toMatchObject({ kind: 'directory-audit', initiator: {} })
  })

  it.each([
    ['is no object', 'text', 'it is not a JSON object'],
    ['is of nothing', { time: audit.time }, 'it does not say what was done'],
    ['is of no time', { operationName: 'Add owner' }, 'it has no time'],
  ])('is not understood when it %s', (_, value, why) => {
    expect(directoryAuditFrom(value)).toEqual({ kind: 'not-understood', why })
  })
})
