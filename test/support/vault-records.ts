import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'

/** A granted signature's record, as short as it may be; what matters to a test is said by the test. */
export const vaultRecord = (different: Partial<VaultRecord> = {}): VaultRecord => ({
  time: '2026-11-22T04:56:16.0000000Z',
  category: 'AuditEvent',
  operationName: 'KeySign',
  resultType: 'Success',
  resultSignature: 'OK',
  resultDescription: '',
  correlationId: '6f0c1d8e-0000-4000-8000-000000000000',
  durationMs: '1',
  callerIpAddress: '127.0.0.1',
  resourceId: '/SUBSCRIPTIONS/S/VAULTS/V',
  operationVersion: '7.4',
  identity: {},
  properties: { httpStatusCode: 200 },
  ...different,
})
