import { Gauge, type Registry } from 'prom-client'

/** One certificate, by its name in the configuration: the name of its vault is for nobody else. */
export interface CertificateGauge {
  readonly certificate: string
  readonly place: 'primary' | 'standby'
  readonly notAfterSeconds: number
  /** By this process in ten seconds, in Key Vault's weighted units; certificates of one vault share them. */
  readonly unitsUsed: number
  readonly unitsMax: number
  readonly unitsLearned: number
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

/** What is read when the registry is asked, and at no other time. */
export function registerGauges(gauges: Gauges, registers: Registry[]): void {
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
  registerCertificateGauges(gauges.certificates, registers)
}

function registerCertificateGauges(
  certificates: Gauges['certificates'],
  registers: Registry[],
): void {
  const ofCertificates = (name: string, help: string, read: (one: CertificateGauge) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['certificate', 'place'],
      registers,
      collect() {
        // Certificates come and go with the configuration.
        this.reset()
        for (const one of certificates()) {
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
    'countersign_vault_units_learned',
    'Units that this replica asks for in ten seconds at most, by what the vault refused lately.',
    ({ unitsLearned }) => unitsLearned,
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
}
