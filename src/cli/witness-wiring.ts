import { readFile } from 'node:fs/promises'
import { connectionsTo } from '../agent/http-service.ts'
import type { Clock } from '../base/clock.ts'
import { defaultSchema } from '../base/postgres-url.ts'
import { parsePublicKey } from '../base/public-key.ts'
import { faultFrom } from '../base/text-file.ts'
import { trustAlso } from '../base/trusted-roots.ts'
import type { CallerEnvironment, Environment } from '../config/environment.ts'
import type {
  WitnessConfig,
  WitnessFeedConfig,
  WitnessKeyConfig,
  WitnessReconcileConfig,
} from '../config/witness/witness-config.ts'
import type { EntryFeed } from '../custody/entry-feed.ts'
import { createFileAnchor } from '../custody/file-anchor.ts'
import { feedOfService } from '../custody/http-entry-feed.ts'
import { feedOfLedger } from '../custody/ledger-entry-feed.ts'
import { createWitness, type Witness } from '../custody/witness.ts'
import { WitnessKeyError } from '../custody/witness-key.ts'
import { createWitnessStore } from '../custody/witness-store.ts'
import { openTail } from '../following.ts'
import { sourceOf } from '../ledger/ledger-source.ts'
import type { SourcesRequest } from '../reconcile/reconcile-sources.ts'
import type { OpenWitnessKey } from '../witnessing.ts'
import { identityFrom } from './agent-wiring.ts'
import { CommandError } from './command-error.ts'
import { keptAt } from './ledger-options.ts'
import { productVersion } from './product.ts'
import { readWitnessKeyFile } from './witness-key-file.ts'

export interface WiredWitness {
  readonly witness: Witness
  readonly feed: EntryFeed
  /** What the ledger is held to, but for the ledger and the time; absent where no log is named. */
  readonly reading?: Omit<SourcesRequest, 'ledger' | 'nowMs'>
  close(): Promise<void>
}

/**
 * The witness of a `witness.yaml`.
 *
 * @throws CommandError that says what to set.
 */
export async function witnessFrom(
  config: WitnessConfig,
  { caller, identityClientId }: Pick<Environment, 'caller' | 'identityClientId'>,
  clock: Clock,
): Promise<WiredWitness> {
  const { key, close: closeKey } = await openKey(config.key, identityClientId, clock)
  const headKeys = await Promise.all(config.headKeyFiles.map(readHeadKey))
  const { feed, close } = await openFeed(config.feed, caller, clock)
  const logs = config.reconcile && (await openReading(config.reconcile, identityClientId, clock))
  const witness = createWitness({
    feed,
    store: createWitnessStore(config.storeFile),
    key,
    headKeys,
    anchors: config.anchors.map(({ file }) => createFileAnchor(file, clock)),
    ...(config.ledger === undefined ? {} : { ledger: config.ledger }),
    silentAfterMs: config.silentAfterSeconds * 1000,
    clock,
  })
  return {
    witness,
    feed,
    ...(logs && { reading: logs.reading }),
    close: async () => {
      await Promise.all([close(), closeKey(), logs?.close()])
    },
  }
}

async function openReading(
  { sources, credential, cloud, keys, applications, expect, graceMinutes }: WitnessReconcileConfig,
  clientId: string | undefined,
  clock: Clock,
) {
  const [{ configuredExpect, openLogs }, { parseKeyUrl }] = await Promise.all([
    import('../reconciling.ts'),
    import('../reconcile/key-name.ts'),
  ])
  const logs = await openLogs(sources, { cloud, credential, clientId }, clock)
  return {
    reading: {
      sources: logs.sources,
      keys: keys.flatMap((url) => parseKeyUrl(url) ?? []),
      applicationIds: applications,
      expect: configuredExpect({ expect }),
      graceMs: graceMinutes * 60_000,
    },
    close: () => logs.close(),
  }
}

async function openKey(
  config: WitnessKeyConfig,
  identityClientId: string | undefined,
  clock: Clock,
): Promise<OpenWitnessKey> {
  if (config.in === 'file') {
    return { key: await readKey(config.file), close: () => Promise.resolve() }
  }
  // Most witnesses have a file, and load no client of Azure.
  const { openVaultWitnessKey } = await import('../witnessing.ts')
  const product = `countersign/${productVersion()}`
  try {
    return await openVaultWitnessKey(config, identityClientId, product, clock)
  } catch (error) {
    if (!(error instanceof WitnessKeyError)) throw error
    const { cause } = error
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : error.code
    throw new CommandError(`key: ${config.nameInVault} of ${config.vault} cannot be used (${code})`)
  }
}

async function readKey(file: string) {
  try {
    return await readWitnessKeyFile(file)
  } catch (error) {
    if (!(error instanceof WitnessKeyError)) throw error
    const rule = 'must be PEM with a private key, Ed25519 or RSA of 2048 bits or more'
    throw new CommandError(
      error.code === 'WITNESS_KEY_UNFIT'
        ? `key: ${file} ${rule}`
        : `key: ${file} cannot be read. ${faultFrom(error.cause)}`,
    )
  }
}

async function readHeadKey(file: string) {
  const key = parsePublicKey(await readFile(file, 'utf8'))
  if (key !== undefined) return key
  throw new CommandError(`headKeys: ${file} holds no public key any more`)
}

interface OpenFeed {
  readonly feed: EntryFeed
  readonly close: () => Promise<void>
}

async function openFeed(
  config: WitnessFeedConfig,
  environment: CallerEnvironment,
  clock: Clock,
): Promise<OpenFeed> {
  if (config.from === 'ledger') {
    const kept = await keptAt(config.ledger, defaultSchema)
    const { tail, close } = await openTail(kept, clock)
    return { feed: feedOfLedger(sourceOf(kept).name, tail), close }
  }
  const { service, identity } = config
  if (service.caFile !== undefined) trustAlso([service.caFile])
  const byCertificate = identity.kind === 'certificate' ? identity : undefined
  const pools = [connectionsTo(service.origin, byCertificate)]
  const own = await identityFrom(config, environment, (url) => {
    const pool = connectionsTo(new URL(url).origin)
    pools.push(pool)
    return pool
  })
  const [connections = connectionsTo(service.origin)] = pools
  return {
    feed: feedOfService(service.origin, connections, () => own.token()),
    close: async () => {
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}
