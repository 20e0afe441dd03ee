import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startedEntry } from '../../support/entries.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'
import { startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import { openLedgerAt, verifiedEntriesAt } from '../../support/postgres-store.ts'

const certificate = createLoopbackTls()
let server: TestPostgres
let url: string
beforeAll(async () => {
  server = await startPostgres({ tls: certificate })
  url = urlWith(await server.createDatabase(), { search: 'sslmode=verify-full' })
})
afterAll(() => server.stop())

const systemRoots = tls.getCACertificates('default')
afterEach(() => {
  tls.setDefaultCACertificates(systemRoots)
})
/** What the service does with `trust.caFiles`. */
const trust = (cert: string) => {
  tls.setDefaultCACertificates([...systemRoots, cert])
}

describe('TLS to the database', () => {
  it('is used where the authority is trusted and the name is right', async () => {
    trust(certificate.cert)
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('1')])
    await ledger.close()
    expect(await verifiedEntriesAt(url)).toEqual([startedEntry('1')])
  })

  it('is refused where nobody vouches for the certificate, whatever weaker mode is asked for', async () => {
    for (const search of ['sslmode=verify-full', 'sslmode=require', 'sslmode=verify-ca']) {
      await expect(openLedgerAt(urlWith(url, { search })), search).rejects.toMatchObject({
        code: 'LEDGER_NOT_TRUSTED',
        transient: false,
        cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
      })
    }
  })

  it('is refused where the certificate is for another name', async () => {
    trust(certificate.cert)
    await expect(openLedgerAt(urlWith(url, { hostname: 'localhost' }))).rejects.toMatchObject({
      code: 'LEDGER_NOT_TRUSTED',
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    })
  })

  it('is refused where the server has none, instead of going without', async () => {
    trust(certificate.cert)
    await server.configure({ ssl: 'off' })
    await expect(openLedgerAt(url)).rejects.toMatchObject({
      code: 'LEDGER_NOT_TRUSTED',
      message: expect.stringContaining('does not support SSL') as unknown,
    })
  })
})
