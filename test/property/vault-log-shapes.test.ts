import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc } from '../support/drawn-cases.ts'
import { afterAll, describe, expect, it } from 'vitest'
import { allOf } from '../support/all-of.ts'
import { vaultLogShapes } from '../support/audit/vault-log-shapes.ts'
import type { AuditedRequest } from '../support/audit/vault-log-shapes.ts'
import { readVaultLog } from '../support/read-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'countersign-shapes-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const guid = fc.uuid()
const version = fc.stringMatching(/^[0-9a-f]{32}$/)

/** What people send: formulas, markup, quotation marks, line breaks, anything. */
const hostileText = fc.oneof(
  fc.constantFrom('=cmd|calc!A1', '<script>alert(1)</script>', '","', '\r\n', '"', '\\', '\u202e'),
  fc.string({ unit: 'binary', maxLength: 60 }),
)

const request = fc
  .record({
    atMs: fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2037, 0) }),
    ticks: fc.integer({ min: 0, max: 9999 }),
    operationName: fc.constantFrom('KeySign', 'KeyGet', 'SecretGet', 'VaultPatch', 'KeyBackup'),
    correlationId: guid,
    httpStatusCode: fc.constantFrom(200, 401, 403, 429),
    collection: fc.constantFrom('keys', 'secrets', 'certificates'),
    withId: fc.boolean(),
    version,
    clientInfo: fc
      .array(hostileText, { minLength: 1, maxLength: 8 })
      .map((parts) => parts.join('')),
    callerIpAddress: fc.ipV4(),
    claim: fc.option(fc.record({ oid: guid, appid: guid }), { nil: undefined }),
  })
  .map((drawn): AuditedRequest => {
    const collection = drawn.operationName === 'KeySign' ? 'keys' : drawn.collection
    const path = `${collection}/partner-signing/${drawn.version}`
    return {
      time: new Date(drawn.atMs)
        .toISOString()
        .replace('Z', `${String(drawn.ticks).padStart(4, '0')}Z`),
      operationName: drawn.operationName,
      correlationId: drawn.correlationId,
      httpStatusCode: drawn.httpStatusCode,
      ...(drawn.withId ? { id: `https://contoso.vault.azure.net/${path}` } : {}),
      requestUri: `https://contoso.vault.azure.net:8443/${path}/sign?api-version=2025-07-01`,
      ...(drawn.httpStatusCode === 200 ? { algorithm: 'PS256' } : {}),
      clientInfo: drawn.clientInfo,
      callerIpAddress: drawn.callerIpAddress,
      ...(drawn.claim === undefined ? {} : { claim: drawn.claim }),
    }
  })

function read(bytes: Buffer) {
  const file = join(folder, 'log')
  writeFileSync(file, bytes)
  return allOf(readVaultLog([file]))
}

/** The portal's export is to the millisecond. */
const inMilliseconds = (one: AuditedRequest): AuditedRequest => ({
  ...one,
  time: one.time.replace(/\d{4}Z$/, 'Z'),
})

describe('the same requests in every shape of a log', () => {
  const { 'JSON Lines': plain, ...others } = vaultLogShapes

  it.each(Object.entries(others))('are equal records: %s', async (shape, write) => {
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 7 }), async (drawn) => {
        const requests = shape.includes('milliseconds') ? drawn.map(inMilliseconds) : drawn
        const records = await read(plain?.(requests) ?? Buffer.alloc(0))
        expect(records).toHaveLength(requests.length)
        expect(records.filter(({ kind }) => kind === 'unread')).toEqual([])
        expect(await read(write(requests))).toEqual(records)
      }),
      { numRuns: 60 },
    )
  })

  it('may stand beside one another in one reading', async () => {
    const [drawn = []] = fc.sample(fc.array(request, { minLength: 3 }), { numRuns: 1, seed: 1 })
    const files = Object.values(others).map((write, index) => {
      const file = join(folder, `log-${index}`)
      writeFileSync(file, write(drawn))
      return file
    })
    const records = await allOf(readVaultLog(files))
    expect(records).toHaveLength(files.length * drawn.length)
    expect(new Set(records.map((one) => (one.kind === 'unread' ? '' : one.correlationId)))).toEqual(
      new Set(drawn.map(({ correlationId }) => correlationId)),
    )
  })
})
