import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allOf } from '../support/all-of.ts'
import { createClientCertificate } from '../support/client-certificate.ts'
import { readDirectoryLog, readSignInLog, readVaultLog } from '../support/read-log.ts'
import { ordersAsk, startTestService, type TestService } from '../support/test-service.ts'

/** That the emulated Entra writes what the product reads: in the account, in the tables and in Graph. */

let service: TestService
beforeAll(async () => {
  service = await startTestService()
  const token = await service.callerToken('fabrikam-orders')
  const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })
  expect(answer.status).toBe(200)
})
afterAll(() => service.stop())

/** What a control route answers, as a file that somebody has exported. */
async function exported(route: string): Promise<readonly string[]> {
  const file = join(service.emulator.endpoints.entraLogFolder, 'export.json')
  writeFileSync(file, JSON.stringify(await service.emulator.control(`GET ${route}`)))
  return [file]
}

describe('the sign-in log', () => {
  it('tells of each exchange, by the ids that the ledger has', async () => {
    const [exchange] = service.entries().filter(({ kind }) => kind === 'exchange.succeeded')
    const signIns = await allOf(readSignInLog([service.emulator.endpoints.entraLogFolder]))
    expect(signIns).toHaveLength(1)
    expect(signIns).toMatchObject([
      {
        kind: 'sign-in',
        ...(exchange?.kind === 'exchange.succeeded'
          ? { id: exchange.traceId, uti: exchange.uti, tenant: exchange.tenant }
          : {}),
        errorCode: 0,
        credential: { thumbprint: expect.stringMatching(/^[0-9A-F]{40}$/) as string },
      },
    ])
  })

  it.each(['/tables/AADServicePrincipalSignInLogs', '/graph/auditLogs/signIns'])(
    'is the same in %s',
    async (route) => {
      const folder = service.emulator.endpoints.entraLogFolder
      expect(await allOf(readSignInLog(await exported(route)))).toEqual(
        await allOf(readSignInLog([join(folder, 'insights-logs-serviceprincipalsigninlogs')])),
      )
    },
  )
})

describe('the directory audits', () => {
  it('tell of a certificate that was given to an application, and taken away', async () => {
    const rogue = await createClientCertificate()
    const path = '/applications/events/certificates'
    await service.emulator.control(`POST ${path}`, { cer: rogue.der.toString('base64') })
    await service.emulator.control(`DELETE ${path}/${rogue.x5tS256}`)
    const folder = join(service.emulator.endpoints.entraLogFolder, 'insights-logs-auditlogs')
    const audits = await allOf(readDirectoryLog([folder]))
    const keysIn = (text = '') => text.split('KeyIdentifier').length - 1
    const counts = audits.map((one) => {
      const change = one.kind === 'unread' ? undefined : one.targets[0]?.changes[0]
      return [keysIn(change?.before), keysIn(change?.after)]
    })
    expect(counts).toEqual([
      [1, 2],
      [2, 1],
    ])
    expect(await allOf(readDirectoryLog(await exported('/tables/AuditLogs')))).toEqual(audits)
    const pages = await allOf(readDirectoryLog(await exported('/graph/auditLogs/directoryAudits')))
    expect(pages).toHaveLength(2)
  })
})

describe('the tables of Key Vault', () => {
  it.each(['/tables/AZKVAuditLogs', '/tables/AzureDiagnostics'])(
    'have what the account has: %s',
    async (route) => {
      const inAccount = await allOf(readVaultLog([service.emulator.endpoints.vaultLogFolder]))
      expect(inAccount.some(({ kind }) => kind === 'sign')).toBe(true)
      const inTable = await allOf(readVaultLog(await exported(route)))
      const bySorting = (records: typeof inTable) =>
        records.map((one) => JSON.stringify(one)).toSorted()
      expect(bySorting(inTable)).toEqual(bySorting(inAccount))
    },
  )
})
