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

/** One certificate, by its name in the configuration: the name of its vault is for nobody else. */
export interface CertificateGauge {
  readonly certificate: string
  readonly place: 'primary' | 'standby'
  readonly notAfterSeconds: number
  /** By this process in ten seconds, in Key Vault's weighted units; certificates of one vault share them. */
  readonly unitsUsed: number
  readonly unitsMax: number
  readonly waiting: number
  readonly circuit: 'closed' | 'probing' | 'open'
}

const circuitNumbers: Readonly<Record<CertificateGauge['circuit'], number>> = {
  closed: 0,
  probing: 1,
  open: 2,
}

/** Read when somebody asks, not counted as they change. */
export interface Gauges {
  readonly cacheBytes: () => number
  readonly cacheEntries: () => number
  readonly unprovedSignatures: () => number
  readonly rememberedRefusals: () => number
  readonly rememberedCallerTokens: () => number
  readonly ready: () => boolean
  readonly configurationInForce: () => boolean
  readonly brokenGrants: () => number
  /** Of the policy that replicas share; 0 where none do. */
  readonly policyGeneration: () => number
  readonly folderInForce: () => boolean
  /** 0 where nothing is exported. */
  readonly exportBehindSeconds: () => number
  /** Those that are proven. */
  readonly certificates: () => readonly CertificateGauge[]
}

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
    'countersign_configuration_in_force',
    '1 when what the configuration file says is in force.',
    () => (gauges.configurationInForce() ? 1 : 0),
  )
  gauge(
    'countersign_grant_files_broken',
    'Grant files that grant nothing because of an error.',
    gauges.brokenGrants,
  )
  gauge(
    'countersign_policy_generation',
    'Generation of the policy that is in force here; 0 where replicas share none.',
    gauges.policyGeneration,
  )
  gauge('countersign_grants_folder_in_force', '1 when what this folder says is in force.', () =>
    gauges.folderInForce() ? 1 : 0,
  )
  gauge(
    'countersign_signatures_unproved',
    'Signatures that the ledger does not prove yet.',
    gauges.unprovedSignatures,
  )
  gauge(
    'countersign_entra_refusals_remembered',
    'Refusals of Entra that are answered from memory, or are being asked about.',
    gauges.rememberedRefusals,
  )
  gauge(
    'countersign_caller_tokens_remembered',
    'Caller tokens whose uses are remembered.',
    gauges.rememberedCallerTokens,
  )
  gauge('countersign_ready', '1 when requests may be sent here.', () => (gauges.ready() ? 1 : 0))
  gauge(
    'countersign_export_behind_seconds',
    'Age of the oldest entry that this replica has still to send, or may have, in seconds; 0 when there is none.',
    gauges.exportBehindSeconds,
  )
  const ofCertificates = (name: string, help: string, read: (one: CertificateGauge) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['certificate', 'place'],
      registers,
      collect() {
        // Certificates come and go with the configuration.
        this.reset()
        for (const one of gauges.certificates()) {
          this.labels(one.certificate, one.place).set(read(one))
        }
      },
    })
  ofCertificates(
    'countersign_certificate_not_after_seconds',
    'When a certificate in use ends, seconds since the Unix epoch.',
    ({ notAfterSeconds }) => notAfterSeconds,
  )
  ofCertificates(
    'countersign_vault_units_used',
    "Units of the vault's budget that this replica used in the last ten seconds.",
    ({ unitsUsed }) => unitsUsed,
  )
  ofCertificates(
    'countersign_vault_units_max',
    "Units of the vault's budget that all replicas allow themselves in ten seconds.",
    ({ unitsMax }) => unitsMax,
  )
  ofCertificates(
    'countersign_sign_queue_length',
    'Requests that wait for leave to sign.',
    ({ waiting }) => waiting,
  )
  ofCertificates(
    'countersign_sign_circuit',
    'Whether vault and key may be asked: 0 yes, 1 by one alone, 2 not yet.',
    ({ circuit }) => circuitNumbers[circuit],
  )
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
