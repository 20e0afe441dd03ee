import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type Gauges, registerGauges } from './gauges.ts'

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
  readonly callersGone: Counter
  readonly failures: Counter<'code'>
  readonly permitWaitSeconds: Histogram
  readonly permitsRefused: Counter<'code'>
  readonly certificateSwitches: Counter<'to'>
  readonly signatures: Counter<'purpose'>
  readonly signatureFailures: Counter<'code'>
  readonly signSeconds: Histogram
  readonly exchanges: Counter<'outcome'>
  readonly exchangeSeconds: Histogram
  readonly clockJumps: Counter
  readonly policyLoads: Counter
  readonly configurationLoads: Counter
  readonly heads: Counter<'outcome'>
  readonly headSequence: Gauge
  readonly anchoredHeads: Counter<'outcome'>
  readonly exportedEntries: Counter
  readonly exportFailures: Counter<'code'>
  readonly exportSequence: Gauge
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export type CommitSeconds = Histogram

/** In no registry yet: a ledger is opened before there is anything else to count. */
export const createCommitSeconds = (): CommitSeconds =>
  new Histogram({
    name: 'countersign_ledger_commit_seconds',
    help: 'Time of a commit of the ledger, until its entries were durable or it had failed, in seconds.',
    buckets: [0.0005, 0.001, 0.0025, ...secondsBuckets],
    registers: [],
  })

export function createMetrics(gauges: Gauges, commitSeconds: CommitSeconds): Metrics {
  const registry = new Registry()
  registry.registerMetric(commitSeconds)
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  registerGauges(gauges, registers)
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
    callersGone: new Counter({
      name: 'countersign_callers_gone_total',
      help: 'Requests whose caller did not wait for the answer.',
      registers,
    }),
    failures: new Counter({
      name: 'countersign_failures_total',
      help: 'Requests that failed, by code.',
      labelNames: ['code'],
      registers,
    }),
    permitWaitSeconds: new Histogram({
      name: 'countersign_permit_wait_seconds',
      help: 'Time that requests waited for leave to sign, in seconds.',
      buckets: secondsBuckets,
      registers,
    }),
    permitsRefused: new Counter({
      name: 'countersign_permits_refused_total',
      help: 'Leave to sign that was refused, by code.',
      labelNames: ['code'],
      registers,
    }),
    certificateSwitches: new Counter({
      name: 'countersign_certificate_switches_total',
      help: 'Times that another certificate of a pair began to sign, by which.',
      labelNames: ['to'],
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
    policyLoads: new Counter({
      name: 'countersign_policy_loads_total',
      help: 'Times that changed grants were put into force while the service ran.',
      registers,
    }),
    configurationLoads: new Counter({
      name: 'countersign_configuration_loads_total',
      help: 'Times that a changed configuration was put into force while the service ran.',
      registers,
    }),
    heads: new Counter({
      name: 'countersign_heads_total',
      help: 'Heads of the ledger that this replica was to sign, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    headSequence: new Gauge({
      name: 'countersign_head_sequence',
      help: 'The entry up to which the last head of this replica stands for the ledger; 0 before there was any.',
      registers,
    }),
    anchoredHeads: new Counter({
      name: 'countersign_anchored_heads_total',
      help: 'Heads that anchors were to keep, by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    clockJumps: new Counter({
      name: 'countersign_clock_jumps_total',
      help: 'Times that the wall clock was set by seconds or more, or the machine slept.',
      registers,
    }),
    exportedEntries: new Counter({
      name: 'countersign_export_entries_total',
      help: 'Entries of the ledger that this replica has sent to where they are searched.',
      registers,
    }),
    exportFailures: new Counter({
      name: 'countersign_export_failures_total',
      help: 'Times that entries could not be sent, by code.',
      labelNames: ['code'],
      registers,
    }),
    exportSequence: new Gauge({
      name: 'countersign_export_sequence',
      help: 'The last entry that this replica has sent.',
      registers,
    }),
  }
}
