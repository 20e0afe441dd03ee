// Signed heads of the ledger, as one more part of the wiring.
import type { Logger } from 'pino'
import type { Clock } from './base/clock.ts'
import type { Config, HeadsConfig } from './config/config.ts'
import { createFileAnchor } from './custody/file-anchor.ts'
import { createHeads, type Heads } from './custody/heads.ts'
import { createLoneHeadTurns, type HeadTurns } from './custody/head-turns.ts'
import { createKeyVaultHeadKey } from './custody/key-vault-head-key.ts'
import type { Ledger } from './ledger/ledger.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { readEnd } from './ledger/read.ts'
import type { Governor } from './signer/governor.ts'
import type { Signer } from './signer/signer.ts'
import { createHeadTelemetry, type HeadTelemetry } from './telemetry/head-telemetry.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { VaultAccess } from './vault-access/vault-access.ts'

export interface HeadSigning extends Heads {
  readonly telemetry: Pick<HeadTelemetry, 'heads' | 'anchors'>
  /** Whether a file hangs, and so would an end of the process that waits for it. */
  hangs(): boolean
  close(): Promise<void>
}

/** Undefined where none are configured. */
export async function createHeadSigning(deps: {
  readonly config: Config
  readonly access: VaultAccess
  readonly ledger: Ledger
  readonly governor: Governor
  readonly signer: Signer
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}): Promise<HeadSigning | undefined> {
  const { config, access, ledger, governor, signer, clock } = deps
  if (config.heads === undefined) return undefined
  const { vault: vaultUrl, nameInVault: vaultKeyName, requireHsm } = config.heads.key
  const telemetry = createHeadTelemetry(deps)
  const { turns, close } = await turnsOf(config, config.heads, clock)
  const anchors = config.heads.anchors.map(({ file }) => createFileAnchor(file, clock))
  const heads = createHeads({
    key: createKeyVaultHeadKey({ vaultUrl, vaultKeyName, requireHsm }, access, clock),
    turns,
    anchors,
    ledger,
    governor,
    signer,
    clock,
    events: telemetry,
  })
  return { ...heads, telemetry, hangs: () => anchors.some((anchor) => anchor.hangs()), close }
}

interface OpenTurns {
  readonly turns: HeadTurns
  readonly close: () => Promise<void>
}

async function turnsOf(
  { ledger: place }: Config,
  schedule: HeadsConfig,
  clock: Clock,
): Promise<OpenTurns> {
  if (place.kind === 'sqlite') {
    const turns = createLoneHeadTurns(() => readEnd(place.file), schedule, clock)
    return { turns, close: () => Promise.resolve() }
  }
  const [{ createDatabaseSession }, { createPostgresHeadTurns }] = await Promise.all([
    import('./database-access/database-session.ts'),
    import('./custody/postgres-head-turns.ts'),
  ])
  const session = createDatabaseSession({ locate: () => locateLedger(place), clock })
  return { turns: createPostgresHeadTurns(session, schedule), close: () => session.close() }
}
