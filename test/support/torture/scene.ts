import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExchangeRecord } from '../../../src/emulator/entra/exchange-log.ts'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import { reconcile, reportViolations, verifyViolations } from './auditor.ts'
import { callersAt, type Place, placesOf, worldFor, type WorldOptions } from './cast.ts'
import { type Client, clientsFor, type Heard } from './clients.ts'
import { type Cloud, startCloud } from './cloud.ts'
import { entriesOf } from './evidence.ts'
import { violationsIn } from './judge.ts'
import { refreshesIn } from './judge-refreshes.ts'
import { expectedFindings, owedAfterStop } from './judge-signatures.ts'
import { type LedgerEvidence, lostSince } from './ledger-evidence.ts'
import { homeInFolder, type LedgerHome } from './ledger-home.ts'
import { configure, type Service, startService } from './service.ts'
import { openWorkshop, type Variables, type Workshop } from './workshop.ts'

export interface SceneOptions extends WorldOptions {
  readonly seed: number
  readonly places: number
  /** Absent: a file in the folder of the scene. */
  readonly ledger?: LedgerHome
}

/** One cloud and one ledger, the clients, and everything that they have heard so far. */
export interface Scene extends AsyncDisposable {
  readonly cloud: Cloud
  readonly places: readonly Place[]
  readonly clients: readonly Client[]
  readonly heard: Heard[]
  readonly ledger: LedgerHome
  /** @param variables Of its environment, besides those that the platform sets. */
  startService(variables?: Variables): Service
  /**
   * Holds everything so far against everything else. One that stopped in order owes more than one that
   * was killed; while replicas still serve, nothing may be asked of them.
   *
   * @throws Violated
   */
  judge(end: 'killed' | 'stopped' | 'serving'): Promise<Judgement>
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
  /** Of the ledger. */
  readonly heads: number
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
  const ledger = options.ledger ?? homeInFolder(workshop.folder)
  const anchor = join(workshop.folder, 'heads.jsonl')
  const configurationFile = configure(workshop, cloud, places, ledger, anchor)
  const clients = await clientsFor(places.flatMap(callersAt), (caller) => cloud.callerToken(caller))
  const heard: Heard[] = []
  let before: LedgerEvidence = { entries: [], hashes: [], faults: [] }

  const open = opening.move()
  return {
    cloud,
    places,
    clients,
    heard,
    ledger,
    startService: (variables) => startService(workshop, cloud, configurationFile, variables),
    judge: async (end) => {
      const premises = { workshop, cloud, ledger, anchor }
      const said = await (end === 'serving' ? atRest(premises) : testimony(premises))
      const { now, records, exchanges, audited } = said
      const { entries } = now
      const { authority } = cloud.endpoints
      const violations = [
        ...now.faults,
        ...lostSince(before, now),
        ...(end === 'stopped' ? owedAfterStop(entries) : []),
        ...violationsIn({ places, authority, entries, heard, records, exchanges }),
        ...audited,
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
  readonly ledger: LedgerHome
  /** File of heads. */
  readonly anchor: string
}

/** What everybody says, one after the other. */
interface Testimony {
  readonly now: LedgerEvidence
  readonly records: readonly VaultRecord[]
  readonly exchanges: readonly ExchangeRecord[]
  /** What the product's own verdicts are wrong about. */
  readonly audited: readonly string[]
}

async function testimony(premises: Premises): Promise<Testimony> {
  const { cloud, ledger } = premises
  const now = await ledger.read()
  const records = await cloud.vaultRecords()
  const exchanges = await cloud.exchanges()
  return { now, records, exchanges, audited: await audit(premises, now, records) }
}

/** Replicas refresh and count by themselves, a few times in a minute; a flight lasts for seconds. */
const hearingsMax = 30
/** What a signature and an exchange take, with the delays that are ordered. */
const underWayMs = 150

/** Until nothing was added while everybody was heard: then all of it is about one moment. */
async function atRest(premises: Premises): Promise<Testimony> {
  const { cloud, ledger } = premises
  await delay(underWayMs)
  for (let hearings = 0; hearings < hearingsMax; hearings += 1) {
    const said = await testimony(premises)
    const [later, records] = [await ledger.read(), await cloud.vaultRecords()]
    const isSame =
      later.hashes.length === said.now.hashes.length && records.length === said.records.length
    if (isSame) return said
  }
  throw new Violated(['the replicas do not come to rest, although nobody asks'])
}

/** The product's own two opinions. A service that never got so far as a key has nothing to reconcile. */
async function audit(
  { workshop, cloud, ledger, anchor }: Premises,
  { entries }: LedgerEvidence,
  records: readonly VaultRecord[],
): Promise<readonly string[]> {
  if (entriesOf(entries, 'certificate.loaded').length === 0) return []
  const report = await reconcile(workshop, cloud, ledger)
  return [
    ...(await verifyViolations(ledger, anchor, entries)),
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
    heads: entriesOf(entries, 'head.signed').length,
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
  heads,
  assumed,
  issued,
  declined,
  lost,
}: Tally): string =>
  `${issued} issued, ${declined} declined, ${lost} lost; ` +
  `${entries} entries, ${signatures} signatures, ${refreshes} refreshes, ` +
  `${heads} heads, ${assumed} assumed`
