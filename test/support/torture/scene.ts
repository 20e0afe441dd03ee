import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import { reconcile, reportViolations, verifyViolations } from './auditor.ts'
import { callersAt, type Place, placesOf, worldFor, type WorldOptions } from './cast.ts'
import { type Client, clientsFor, type Heard } from './clients.ts'
import { type Cloud, startCloud } from './cloud.ts'
import { entriesOf } from './evidence.ts'
import { violationsIn } from './judge.ts'
import { refreshesIn } from './judge-refreshes.ts'
import { expectedFindings, owedAfterStop } from './judge-signatures.ts'
import { type LedgerEvidence, lostSince, readLedger } from './ledger-evidence.ts'
import { type Configuration, configure, type Service, startService } from './service.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

export interface SceneOptions extends WorldOptions {
  readonly seed: number
  readonly places: number
}

/** One cloud and one ledger, the clients, and everything that they have heard so far. */
export interface Scene extends AsyncDisposable {
  readonly cloud: Cloud
  readonly places: readonly Place[]
  readonly clients: readonly Client[]
  readonly heard: Heard[]
  readonly ledgerFile: string
  startService(): Service
  /**
   * Holds everything so far against everything else, while no service runs. One that stopped in order
   * owes more than one that was killed.
   *
   * @throws Violated
   */
  judge(end: 'killed' | 'stopped'): Promise<Judgement>
}

export interface Judgement {
  /** What reconcile reports, by the record that it is about. */
  readonly findings: ReadonlyMap<string, 'sign.assumed' | 'sign.unexplained'>
  readonly tally: Tally
}

/** Of the whole scene, so far. */
export interface Tally {
  readonly entries: number
  readonly signatures: number
  /** Tokens in use that were refreshed before they ended. */
  readonly refreshes: number
  /** Whose answers never reached the ledger. */
  readonly assumed: number
  readonly issued: number
  readonly declined: number
  readonly lost: number
}

/** What must never be was found. */
export class Violated extends Error {
  override readonly name = 'Violated'

  /** @param violations A sentence each. */
  constructor(violations: readonly string[]) {
    const [first = 'nothing', ...more] = violations
    const shown = more.slice(0, violationsShownMax)
    const rest = more.length - shown.length
    super([first, ...shown, ...(rest === 0 ? [] : [`and ${rest} more`])].join('\n'))
  }
}

const violationsShownMax = 20

export async function openScene(options: SceneOptions): Promise<Scene> {
  await using opening = new AsyncDisposableStack()
  const workshop = opening.use(openWorkshop())
  const places = placesOf(options.places)
  const world = worldFor(places, options)
  const cloud = opening.use(await startCloud(workshop, { world, randomSeed: options.seed }))
  const configuration = configure(workshop, cloud, places)
  const clients = await clientsFor(places.flatMap(callersAt), (caller) => cloud.callerToken(caller))
  const heard: Heard[] = []
  let before: LedgerEvidence = { entries: [], hashes: [], faults: [] }

  const open = opening.move()
  return {
    cloud,
    places,
    clients,
    heard,
    ledgerFile: configuration.ledgerFile,
    startService: () => startService(workshop, cloud, configuration),
    judge: async (end) => {
      const now = readLedger(configuration.ledgerFile)
      const records = await cloud.vaultRecords()
      const exchanges = await cloud.exchanges()
      const { entries } = now
      const { authority } = cloud.endpoints
      const violations = [
        ...now.faults,
        ...lostSince(before, now),
        ...(end === 'stopped' ? owedAfterStop(entries) : []),
        ...violationsIn({ places, authority, entries, heard, records, exchanges }),
        ...(await audit({ workshop, cloud, configuration }, now, records)),
      ]
      before = now
      if (violations.length > 0) throw new Violated(violations)
      return {
        findings: expectedFindings(entries, records),
        tally: tallyOf(now, records, heard),
      }
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

interface Premises {
  readonly workshop: Workshop
  readonly cloud: Cloud
  readonly configuration: Configuration
}

/** The product's own two opinions. A service that never got so far as a key has nothing to reconcile. */
async function audit(
  { workshop, cloud, configuration }: Premises,
  { entries }: LedgerEvidence,
  records: readonly VaultRecord[],
): Promise<readonly string[]> {
  if (entriesOf(entries, 'certificate.loaded').length === 0) return []
  const report = await reconcile(workshop, cloud, configuration)
  return [
    ...verifyViolations(configuration.ledgerFile),
    ...reportViolations(report, entries, records),
  ]
}

function tallyOf(
  { entries }: LedgerEvidence,
  records: readonly VaultRecord[],
  heard: readonly Heard[],
): Tally {
  const findings = [...expectedFindings(entries, records).values()]
  const count = (kind: Heard['outcome']['kind']) =>
    heard.filter(({ outcome }) => outcome.kind === kind).length
  return {
    entries: entries.length,
    signatures: entriesOf(entries, 'signature.begun').length,
    refreshes: refreshesIn(entries),
    assumed: findings.filter((kind) => kind === 'sign.assumed').length,
    issued: count('issued'),
    declined: count('declined'),
    lost: count('lost'),
  }
}

export const describeTally = ({
  entries,
  signatures,
  refreshes,
  assumed,
  issued,
  declined,
  lost,
}: Tally): string =>
  `${issued} issued, ${declined} declined, ${lost} lost; ` +
  `${entries} entries, ${signatures} signatures, ${refreshes} refreshes, ${assumed} assumed`
