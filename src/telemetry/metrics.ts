import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Every metric of the service, named once. Labels take few values, and never a caller's. */
export interface Metrics {
  readonly registry: Registry
  readonly tokensIssued: Counter<'source'>
  readonly assertionsIssued: Counter
  readonly cacheLookups: Counter<'outcome'>
  readonly cacheEvictions: Counter
  readonly refreshes: Counter<'outcome'>
  readonly sharedTokens: Counter<'outcome'>
  readonly sharedTokensRefused: Counter<'reason'>
  readonly refusals: Counter<'reason'>
  readonly failures: Counter<'code'>
  readonly signatures: Counter<'purpose'>
  readonly signatureFailures: Counter<'code'>
  readonly signSeconds: Histogram
  readonly exchanges: Counter<'outcome'>
  readonly exchangeSeconds: Histogram
  readonly clockJumps: Counter
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** @param gauges Read when somebody asks, not counted as they change. */
export function createMetrics(gauges: {
  readonly cacheBytes: () => number
  readonly cacheEntries: () => number
  readonly unprovedSignatures: () => number
  readonly ready: () => boolean
  /** By name of the certificate, those that are proven. */
  readonly certificateEnds: () => ReadonlyMap<string, number>
}): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  gauge('countersign_token_cache_bytes', 'Bytes held by cached tokens.', gauges.cacheBytes)
  gauge('countersign_token_cache_entries', 'Tokens in the cache.', gauges.cacheEntries)
  gauge(
    'countersign_signatures_unproved',
    'Signatures that the ledger does not prove yet.',
    gauges.unprovedSignatures,
  )
  gauge('countersign_ready', '1 when requests may be sent here.', () => (gauges.ready() ? 1 : 0))
  new Gauge({
    name: 'countersign_certificate_not_after_seconds',
    help: 'When a certificate in use ends, seconds since the Unix epoch.',
    labelNames: ['certificate'],
    registers,
    collect() {
      for (const [certificate, seconds] of gauges.certificateEnds()) {
        this.labels(certificate).set(seconds)
      }
    },
  })
  return {
    registry,
    tokensIssued: new Counter({
      name: 'countersign_tokens_issued_total',
      help: 'Access tokens given to callers, by where they came from.',
      labelNames: ['source'],
      registers,
    }),
    assertionsIssued: new Counter({
      name: 'countersign_assertions_issued_total',
      help: 'Client assertions given to callers.',
      registers,
    }),
    cacheLookups: new Counter({
      name: 'countersign_token_cache_lookups_total',
      help: 'Look-ups in the token cache, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    cacheEvictions: new Counter({
      name: 'countersign_token_cache_evictions_total',
      help: 'Cached tokens that had to make room.',
      registers,
    }),
    refreshes: new Counter({
      name: 'countersign_token_refreshes_total',
      help: 'Cached tokens in use that were due for a refresh, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    sharedTokens: new Counter({
      name: 'countersign_shared_tokens_total',
      help: 'What became of asking other replicas for a token, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    sharedTokensRefused: new Counter({
      name: 'countersign_shared_tokens_refused_total',
      help: 'Stored tokens that were as good as none, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    refusals: new Counter({
      name: 'countersign_refusals_total',
      help: 'Requests refused, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    failures: new Counter({
      name: 'countersign_failures_total',
      help: 'Requests that failed, by code.',
      labelNames: ['code'],
      registers,
    }),
    signatures: new Counter({
      name: 'countersign_signatures_total',
      help: 'Signatures made by the vault, by what for.',
      labelNames: ['purpose'],
      registers,
    }),
    signatureFailures: new Counter({
      name: 'countersign_signature_failures_total',
      help: 'Sign requests that brought no signature, by code.',
      labelNames: ['code'],
      registers,
    }),
    signSeconds: new Histogram({
      name: 'countersign_sign_seconds',
      help: 'Time the vault took to sign, in seconds.',
      buckets: secondsBuckets,
      registers,
    }),
    exchanges: new Counter({
      name: 'countersign_exchanges_total',
      help: 'Requests to token endpoints, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    exchangeSeconds: new Histogram({
      name: 'countersign_exchange_seconds',
      help: 'Time the token endpoint took, in seconds.',
      buckets: secondsBuckets,
      registers,
    }),
    clockJumps: new Counter({
      name: 'countersign_clock_jumps_total',
      help: 'Times that the wall clock was set by seconds or more, or the machine slept.',
      registers,
    }),
  }
}
