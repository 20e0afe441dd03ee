import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canonicalJson } from '../src/base/canonical-json.ts'
import { chainHash, genesisHash } from '../src/ledger/chain.ts'
import type { Row } from '../src/ledger/chain.ts'
import { readVaultLog } from '../src/reconcile/read-log.ts'
import { account } from '../src/reconcile/reconcile.ts'

/**
 * How long reconcile takes for so many signatures, and how much memory: `npm run bench:audit`, or with
 * numbers of signatures behind it. Each has a begun and a settling entry and one record in a file. The
 * ledger's rows are made as they are read, so that what is measured is reconcile and not a database; their
 * chain is verified; making them is a part of the time. On a busy machine the time of the CPU tells more. The bar is for ten million: 120 s and 512 MB.
 */
const sizes = process.argv.slice(2).map(Number)
const curve = sizes.length > 0 ? sizes : [10_000, 30_000, 100_000, 300_000, 1_000_000]

const startMs = Date.UTC(2026, 10, 20)
/** Two hundred a second: what one vault can sign. */
const atMs = (index: number) => startMs + index * 5
const keyId = `https://contoso-hsm.vault.azure.net/keys/partner-signing/${'0a1b'.repeat(8)}`
const requestId = (index: number) => `6f0c1d8e-0000-4000-8000-${String(index).padStart(12, '0')}`

function* rows(count: number): Generator<Row, void, undefined> {
  let hash = genesisHash
  let sequence = 0
  const rowFrom = (entry: Parameters<typeof canonicalJson>[0]): Row => {
    const canonical = Buffer.from(canonicalJson(entry))
    hash = chainHash(hash, canonical)
    sequence += 1
    return { sequence, canonical, hash }
  }
  for (let index = 0; index < count; index += 1) {
    const signature = `0198c0de-0000-7000-8000-${String(index).padStart(12, '0')}`
    yield rowFrom({
      kind: 'signature.begun',
      atMs: atMs(index),
      signature,
      attempt: signature,
      purpose: 'exchange',
      application: 'events',
      tenant: 'fab00000-0000-4000-8000-000000000002',
      keyId,
      algorithm: 'PS256',
      digest: 'digest-of-32-bytes-in-base64url-aaaaaaaaaa',
      nonceSha256: `${signature}aaaaaaa`,
      expiresAtSeconds: atMs(index) / 1000 + 300,
    })
    yield rowFrom({
      kind: 'signature.made',
      atMs: atMs(index) + 80,
      signature,
      vaultRequestId: requestId(index),
      signatureSha256: 'digest-of-32-bytes-in-base64url-aaaaaaaaaa',
    })
  }
}

const recordLine = (index: number): string =>
  `${JSON.stringify({
    time: new Date(atMs(index) + 40).toISOString().replace('Z', '4321Z'),
    category: 'AuditEvent',
    operationName: 'KeySign',
    resultType: 'Success',
    resultSignature: 'OK',
    resultDescription: '',
    correlationId: requestId(index),
    durationMs: '33',
    callerIpAddress: '203.0.113.9',
    resourceId: '/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-HSM',
    operationVersion: '2025-07-01',
    identity: { claim: { appid: 'c1', appidacr: '2', oid: '51', idtyp: 'app' } },
    properties: {
      id: keyId,
      algorithm: 'PS256',
      clientInfo: 'countersign/0.1.0 (signature-nonce aaaaaaaaaaaaaaaaaaaaaa)',
      requestUri: `${keyId}/sign?api-version=2025-07-01`,
      httpStatusCode: 200,
      keyProperties: { type: 'RSA-HSM', size: 2048, attributes: { enabled: true } },
      tlsVersion: 'TLS1_3',
      subnetId: '',
    },
  })}\n`

async function writeLog(file: string, count: number): Promise<void> {
  const out = createWriteStream(file)
  for (let start = 0; start < count; start += 1000) {
    const lines = Array.from({ length: Math.min(1000, count - start) }, (_, index) =>
      recordLine(start + index),
    )
    if (!out.write(lines.join(''))) await once(out, 'drain')
  }
  out.end()
  await once(out, 'close')
}

async function measure(folder: string, count: number): Promise<string> {
  const file = join(folder, 'log.json')
  await writeLog(file, count)
  let memoryMax = 0
  const sampler = setInterval(() => {
    memoryMax = Math.max(memoryMax, process.memoryUsage().rss)
  }, 50)
  const startedAt = performance.now()
  const before = process.cpuUsage()
  const { findings, vaultLog } = await account({
    // eslint-disable-next-line @typescript-eslint/require-await -- a ledger may be waited for, this one is made here
    pages: async function* () {
      yield rows(count)
    },
    vaultRecords: () => readVaultLog([file]),
    keys: [],
    nowMs: atMs(count) + 3_600_000,
    graceMs: 0,
  })
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(before)
  clearInterval(sampler)
  memoryMax = Math.max(memoryMax, process.memoryUsage().rss)
  if (findings.length > 0 || vaultLog.explained !== count) throw new Error('not accounted for')
  const megabytes = Math.round(memoryMax / 1024 / 1024)
  const cpuSeconds = (user + system) / 1e6
  return `${count}\t${seconds.toFixed(1)} s\t${cpuSeconds.toFixed(1)} s\t${megabytes} MB`
}

const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-audit-'))
try {
  process.stdout.write('signatures\ttime\tof CPU\tmemory\n')
  for (const count of curve) process.stdout.write(`${await measure(folder, count)}\n`)
} finally {
  rmSync(folder, { recursive: true })
}
