import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc } from '../support/drawn-cases.ts'
import { afterAll, describe, expect, it } from 'vitest'
import { allOf } from '../support/all-of.ts'
import { auditShapes, signInShapes } from '../support/audit/entra-log-shapes.ts'
import type { EntraAudit, EntraSignIn } from '../support/audit/entra-log-shapes.ts'
import { readDirectoryLog, readSignInLog } from '../support/read-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'countersign-entra-shapes-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function written(bytes: Buffer): readonly string[] {
  const file = join(folder, 'log')
  writeFileSync(file, bytes)
  return [file]
}

const guid = fc.uuid()
const time = fc
  .integer({ min: Date.UTC(2020, 0), max: Date.UTC(2037, 0) })
  .map((ms) => new Date(ms).toISOString())
const hostile = fc.oneof(
  fc.constantFrom('=1+1', '<img src=x onerror=alert(1)>', '"', '\r\n', ',', '\u202e'),
  fc.string({ minLength: 1, maxLength: 30 }),
)

const signIn: fc.Arbitrary<EntraSignIn> = fc.record({
  time,
  id: guid,
  correlationId: guid,
  uti: fc.stringMatching(/^[\w-]{22}$/),
  appId: guid,
  servicePrincipalId: guid,
  tenant: guid,
  errorCode: fc.constantFrom(0, 700027, 7000215),
  keyId: guid,
  thumbprint: fc.stringMatching(/^[0-9A-F]{40}$/),
  federatedId: fc.constantFrom('', '11111111-2222-3333-4444-555555555555'),
  ipAddress: fc.ipV4(),
  resource: hostile,
})

const audit: fc.Arbitrary<EntraAudit> = fc.record({
  time,
  id: guid,
  correlationId: guid,
  activity: fc.constantFrom(
    'Update application – Certificates and secrets management ',
    'Add owner to application',
  ),
  result: fc.constantFrom('success', 'failure'),
  tenant: guid,
  by: fc.oneof(
    fc.record({ user: fc.record({ id: guid, userPrincipalName: hostile, ipAddress: fc.ipV4() }) }),
    fc.record({ app: fc.record({ appId: guid, servicePrincipalId: guid, displayName: hostile }) }),
  ),
  target: fc.record({ id: guid, displayName: hostile, type: fc.constant('Application') }),
  appId: guid,
  changes: fc.array(
    fc.record({
      displayName: fc.constantFrom('KeyDescription', 'FederatedIdentityCredentials'),
      oldValue: fc.option(hostile),
      newValue: fc.option(hostile),
    }),
    { maxLength: 3 },
  ),
})

describe('the same sign-ins in every shape of a log', () => {
  const { 'blobs of a diagnostic setting': plain, ...others } = signInShapes

  it.each(Object.entries(others))('are equal records: %s', async (_, write) => {
    await fc.assert(
      fc.asyncProperty(fc.array(signIn, { maxLength: 5 }), async (signIns) => {
        const records = await allOf(readSignInLog(written(plain?.(signIns) ?? Buffer.alloc(0))))
        expect(records.map(({ kind }) => kind)).toEqual(signIns.map(() => 'sign-in'))
        expect(await allOf(readSignInLog(written(write(signIns))))).toEqual(records)
      }),
      { numRuns: 40 },
    )
  })
})

describe('the same changes of a directory in every shape of a log', () => {
  const {
    'blobs of a diagnostic setting': plain,
    'a page of Microsoft Graph': graph,
    ...tables
  } = auditShapes

  it.each(Object.entries(tables))('are equal records: %s', async (_, write) => {
    await fc.assert(
      fc.asyncProperty(fc.array(audit, { maxLength: 5 }), async (audits) => {
        const records = await allOf(readDirectoryLog(written(plain?.(audits) ?? Buffer.alloc(0))))
        expect(records.map(({ kind }) => kind)).toEqual(audits.map(() => 'directory-audit'))
        expect(await allOf(readDirectoryLog(written(write(audits))))).toEqual(records)
      }),
      { numRuns: 40 },
    )
  })

  it('are equal but for the tenant, which Microsoft Graph does not tell', async () => {
    const audits = fc.sample(audit, { numRuns: 20, seed: 1 })
    const records = await allOf(readDirectoryLog(written(plain?.(audits) ?? Buffer.alloc(0))))
    const pages = await allOf(readDirectoryLog(written(graph?.(audits) ?? Buffer.alloc(0))))
    expect(pages.map((one) => ({ tenant: undefined, ...one }))).toEqual(
      records.map((one) => ({ ...one, tenant: undefined })),
    )
  })
})
