// One measurement of `bench/audit.ts`, in processes of their own, so that nothing but reconcile is in its memory:
// `write FILE COUNT` makes the log, `measure FILE COUNT` prints the figures as JSON.
import { createWriteStream, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { keepYoungHeapSmall } from '../src/cli/small-young-heap.ts'
import { chainHash, genesisHash } from '../src/ledger/chain.ts'
import type { Row } from '../src/ledger/chain.ts'
import { verifyChain } from '../src/ledger/verify.ts'
import { logFolder } from '../src/reconcile/log-folder.ts'
import { vaultLogForm } from '../src/reconcile/read-log.ts'
import { account } from '../src/reconcile/reconcile.ts'
import type { AuditFigures, Times } from './audit-figures.ts'

/*
 * Each signature has a begun and a settling entry in the ledger and one record in a file. The rows of the
 * ledger are made as they are read, so that what is measured is reconcile and not a database; their chain is
 * verified. Proofs are not due: the check of each costs a verification by RSA, some 30 µs wherever it is done.
 */
const startMs = Date.UTC(2026, 10, 20)
/** Two hundred a second: what one vault can sign. */
const atMs = (index: number) => startMs + index * 5
const keyId = `https://contoso-hsm.vault.azure.net/keys/partner-signing/${'0a1b'.repeat(8)}`
const digits = (index: number) => String(index).padStart(12, '0')
const digest = 'digest-of-32-bytes-in-base64url-aaaaaaaaaaa'

/** Canonical by themselves: their members are in order. */
const begunEntry = (index: number) =>
  `{"algorithm":"PS256","application":"events","atMs":${atMs(index)},"attempt":"0198c0de-0000-7000-8000-${digits(index)}","digest":"${digest}","expiresAtSeconds":${Math.floor(atMs(index) / 1000) + 300},"keyId":"${keyId}","kind":"signature.begun","nonceSha256":"nonce-of-22-chars-in-base64url-${digits(index)}","purpose":"exchange","signature":"0198c0de-0000-7000-9000-${digits(index)}","tenant":"fab00000-0000-4000-8000-000000000002"}`
const madeEntry = (index: number) =>
  `{"atMs":${atMs(index) + 80},"kind":"signature.made","signature":"0198c0de-0000-7000-9000-${digits(index)}","signatureSha256":"${digest}","vaultRequestId":"6f0c1d8e-0000-4000-8000-${digits(index)}"}`

function* rows(entries: Iterable<string>): Generator<Row, void, undefined> {
  let hash = genesisHash
  let sequence = 0
  for (const entry of entries) {
    const canonical = Buffer.from(entry)
    hash = chainHash(hash, canonical)
    sequence += 1
    yield { sequence, canonical, hash }
  }
}

function* signatureEntries(count: number): Generator<string, void, undefined> {
  for (let index = 0; index < count; index += 1) {
    yield begunEntry(index)
    yield madeEntry(index)
  }
}

function* beginnings(count: number): Generator<string, void, undefined> {
  for (let index = 0; index < count; index += 1) yield begunEntry(index)
}

const recordLine = (index: number): string =>
  `{"time":"${new Date(atMs(index) + 40).toISOString().replace('Z', '4321Z')}","category":"AuditEvent","operationName":"KeySign","resultType":"Success","resultSignature":"OK","resultDescription":"","correlationId":"6f0c1d8e-0000-4000-8000-${digits(index)}","durationMs":"${20 + (index % 200)}","callerIpAddress":"203.0.113.9","resourceId":"/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-HSM","operationVersion":"2025-07-01","identity":{"claim":{"appid":"c1","appidacr":"2","oid":"51","idtyp":"app"}},"properties":{"id":"${keyId}","algorithm":"PS256","clientInfo":"countersign/0.1.0 (signature-nonce aaaaaaaaaa${digits(index)})","requestUri":"${keyId}/sign?api-version=2025-07-01","httpStatusCode":200,"keyProperties":{"type":"RSA-HSM","size":2048,"attributes":{"enabled":true}},"tlsVersion":"TLS1_3","subnetId":""}}\n`

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

async function timed(act: () => unknown): Promise<Times> {
  const startedAt = performance.now()
  const before = process.cpuUsage()
  await act()
  const { user, system } = process.cpuUsage(before)
  return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds: (user + system) / 1e6 }
}

function drain(made: Iterable<Row>): void {
  for (const { sequence } of made) if (sequence < 0) throw new Error('no row')
}

const less = (one: Times, other: Times): Times => ({
  seconds: one.seconds - other.seconds,
  cpuSeconds: one.cpuSeconds - other.cpuSeconds,
})

const peakMegabytes = (): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024

/** @returns How long the ledger took, with the making of its rows. */
async function reconciled(file: string, count: number): Promise<number> {
  const startedAt = performance.now()
  let ledgerReadAt = startedAt
  const { findings, vaultLog, ledger } = await account({
    // eslint-disable-next-line @typescript-eslint/require-await -- a ledger may be waited for, this one is made here
    pages: async function* () {
      yield rows(signatureEntries(count))
      ledgerReadAt = performance.now()
    },
    vaultRecords: () => logFolder(file, vaultLogForm).records(-Infinity),
    keys: [],
    nowMs: atMs(count),
    // No proof is due, and every record is there.
    graceMs: atMs(count) - startMs,
  })
  const isWhole = vaultLog.explained === count && ledger.proofsNotDue === count
  if (findings.length > 0 || !isWhole) throw new Error('not accounted for')
  return (ledgerReadAt - startedAt) / 1000
}

/**
 * The chain is checked by a thread beside the one in which rows are made, and has time while they are. Where rows cost
 * nothing it would still take what it takes alone, of twice as many entries as are verified.
 */
const withoutMaking = (ledgerSeconds: number, making: Times, verify: Times): number =>
  Math.max(ledgerSeconds - making.seconds, verify.seconds * 2)

async function measured(file: string, count: number): Promise<AuditFigures> {
  keepYoungHeapSmall()
  let ledgerSeconds = 0
  const whole = await timed(async () => {
    ledgerSeconds = await reconciled(file, count)
  })
  const megabytes = peakMegabytes()
  const makingRows = await timed(() => {
    drain(rows(signatureEntries(count)))
  })
  const verified = await timed(() => {
    if (!verifyChain(rows(beginnings(count))).ok) throw new Error('the chain does not verify')
  })
  const makingChain = await timed(() => {
    drain(rows(beginnings(count)))
  })
  const verify = less(verified, makingChain)
  const reconcile = less(whole, makingRows)
  const seconds = whole.seconds - ledgerSeconds + withoutMaking(ledgerSeconds, makingRows, verify)
  return { signatures: count, reconcile: { ...reconcile, seconds }, makingRows, verify, megabytes }
}

const [step, file = '', count] = process.argv.slice(2)
if (step === 'write') await writeLog(file, Number(count))
else process.stdout.write(JSON.stringify(await measured(file, Number(count))))
