import {
  appendFileSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { hourStartOf } from '../../../src/reconcile/blob-hour.ts'
import type { LogSources } from '../../../src/reconcile/log-source.ts'
import { logFolders } from '../log-folders.ts'
import { required } from '../required.ts'
import { newId, signInLine } from './story.ts'
import type { Random, Story } from './story.ts'

/**
 * The copy of a storage account into which the records of a story come as time goes by, as Azure and whoever
 * copies deliver them: late, twice, in another order, in blobs of three shapes that grow, are torn, damaged, gone.
 */

export type LogName = 'vault' | 'sign-ins' | 'audits'

/** Folders, each read as a log of its own: a vault's records may be divided among two. */
const placesOf: Readonly<Record<LogName, readonly string[]>> = {
  vault: ['vault', 'vault-elsewhere'],
  'sign-ins': ['sign-ins'],
  audits: ['audits'],
}

/** The three shapes of protocol page §4.1. */
const shapes = {
  lines: (lines: readonly string[]) => lines.map((line) => `${line}\n`).join(''),
  list: (lines: readonly string[]) => `[${lines.join(',\n')}]\n`,
  records: (lines: readonly string[]) => `{"records":[${lines.join(',')}]}\n`,
}
type Shape = keyof typeof shapes

interface Parcel {
  readonly log: LogName
  readonly place: string
  readonly text: string
  readonly blob: string
  readonly eventMs: number
  readonly arrivesAtMs: number
}

interface Blob {
  readonly log: LogName
  readonly place: string
  readonly file: string
  readonly shape: Shape
  readonly isCompressed: boolean
  lines: string[]
  /** What is no record, and stays. */
  garbage: string
  /** What is missing of its last line. */
  torn: string | undefined
  /** Of its youngest record. */
  newestMs: number
  /** Somebody has looked at all of it when that could be decided: since then nobody depends on it. */
  isSettled: boolean
  /** Nobody has looked since its last line came. */
  hasJustGrown: boolean
  isDamaged: boolean
}

const minute = 60_000
const hour = 60 * minute

export class StorageAccount {
  readonly #folder: string
  readonly #random: Random
  readonly #places: typeof placesOf
  readonly #shapes: Readonly<Record<LogName, Shape>>
  readonly #blobs = new Map<string, Blob>()
  readonly #delivered: Record<LogName, string[]> = { vault: [], 'sign-ins': [], audits: [] }
  #waiting: readonly Parcel[]
  #away: { readonly log: LogName; readonly place: string } | undefined
  #isAnyRemoved = false

  constructor(folder: string, story: Story, random: Random) {
    this.#folder = folder
    this.#random = random
    const shapeOf = (): Shape => pick(Object.keys(shapes) as Shape[], random)
    this.#places = random() < 0.5 ? placesOf : { ...placesOf, vault: ['vault'] }
    this.#shapes = { vault: shapeOf(), 'sign-ins': shapeOf(), audits: shapeOf() }
    const isByEvent = random() < 0.5
    const parcelsOf = (log: LogName, items: readonly object[]) =>
      items.flatMap((item) => this.#parcelsOf(log, item, isByEvent))
    this.#waiting = [
      ...parcelsOf('vault', story.vaultLines),
      ...parcelsOf('sign-ins', story.signIns),
      ...parcelsOf('audits', story.audits),
      firstParcelOf('sign-ins', signInOfOther(story)),
      firstParcelOf('audits', auditOfOther(story)),
    ].toSorted((one, other) => one.arrivesAtMs - other.arrivesAtMs)
  }

  /** As JSON, as often as they came, whatever has become of their blobs since. */
  get delivered(): Readonly<Record<LogName, readonly string[]>> {
    return this.#delivered
  }

  /** Whether there is a place, or a log, in which nobody can read what there is. */
  get hidesSomething(): boolean {
    const isUnread = (blob: Blob) => !isUnderstood(blob)
    return this.#away !== undefined || [...this.#blobs.values()].some(isUnread)
  }

  /** Whether some of what was there is gone, or was for a time. */
  get isAnyRemoved(): boolean {
    return this.#isAnyRemoved
  }

  /** Which log cannot be read, or not all of it. */
  get away(): LogName | undefined {
    return this.#away?.log
  }

  get isAllThere(): boolean {
    return this.#waiting.length === 0
  }

  sources(): LogSources {
    return logFolders({
      vaultLogs: this.#foldersOf('vault'),
      signInLogs: this.#foldersOf('sign-ins'),
      auditLogs: this.#foldersOf('audits'),
    })
  }

  /** What has come by then, where nothing is in its way. */
  deliver(nowMs: number): void {
    this.#mendTorn()
    for (const blob of this.#blobs.values()) blob.hasJustGrown = false
    const comes = ({ place, blob, arrivesAtMs }: Parcel) =>
      arrivesAtMs <= nowMs &&
      place !== this.#away?.place &&
      this.#blobs.get(blob)?.isDamaged !== true
    const come = this.#waiting.filter(comes)
    this.#waiting = this.#waiting.filter((parcel) => !comes(parcel))
    for (const [name, parcels] of Map.groupBy(come, ({ blob }) => blob)) {
      const texts = shuffled(parcels, this.#random).map(({ text }) => text)
      const blob = this.#blobs.get(name) ?? this.#begin(name, required(parcels[0]))
      this.#append(blob, texts)
      blob.newestMs = Math.max(blob.newestMs, ...parcels.map(({ eventMs }) => eventMs))
      this.#delivered[blob.log].push(...texts)
    }
  }

  /** Somebody has looked, to whom what happened before is decided. */
  looked(decidedUntilMs: number): void {
    for (const blob of this.#blobs.values()) {
      const isReadable =
        blob.place !== this.#away?.place && !blob.isDamaged && blob.torn === undefined
      if (isReadable && blob.newestMs <= decidedUntilMs) blob.isSettled = true
    }
  }

  /** The last line of a blob that came just now has come in part: the rest comes with the next delivery. */
  tear(): void {
    const blob = this.#any(({ shape, isCompressed, hasJustGrown, garbage }) => {
      return shape === 'lines' && !isCompressed && garbage === '' && hasJustGrown
    })
    const line = blob?.lines.at(-1)
    if (blob === undefined || line === undefined) return
    const half = Math.ceil(line.length / 2)
    truncateSync(blob.file, Buffer.byteLength(shapes.lines(blob.lines)) - (line.length - half) - 1)
    blob.torn = line.slice(half)
    const delivered = this.#delivered[blob.log]
    // Another copy of it may have come before.
    delivered.splice(delivered.lastIndexOf(line), 1)
  }

  /** What is no record comes into one of them, and is never mended. */
  garble(): void {
    const blob = this.#any(({ torn, isDamaged, garbage }) => {
      return torn === undefined && !isDamaged && garbage === ''
    })
    if (blob === undefined) return
    blob.garbage = pick(
      ['{"time":"2026-11-20T05:00:00Z","categ\n', '\u0000\u0000\u0000\n'],
      this.#random,
    )
    writeFileSync(blob.file, contentOf(blob))
  }

  /** As by who keeps blobs for so long and no longer, or by who has something to hide. */
  loseBlob(): void {
    const blob = this.#any(
      ({ place, file, garbage, isSettled, isDamaged }) =>
        garbage === '' && isSettled && !isDamaged && this.#countOf(place) > 2 && existsSync(file),
    )
    if (blob === undefined) return
    rmSync(blob.file)
    this.#isAnyRemoved = true
    blob.lines = []
  }

  /** As by who keeps them for so long: the oldest of one place go, of a time that whoever keeps watch has decided. */
  retire(decidedUntilMs: number): void {
    const { place } = this.#any(({ file }) => existsSync(file)) ?? {}
    const there = [...this.#blobs.values()]
      .filter((blob) => blob.place === place && existsSync(blob.file))
      .toSorted((one, other) => startOf(one) - startOf(other))
    const isKept = (blob: Blob) =>
      startOf(blob) + hour > decidedUntilMs || !blob.isSettled || !isUnderstood(blob)
    const old = there.slice(0, there.findIndex(isKept))
    for (const blob of old.slice(0, Math.ceil(this.#random() * old.length))) {
      rmSync(blob.file)
      blob.lines = []
    }
  }

  damageCompression(): void {
    const blob = this.#any(({ isCompressed, isSettled, lines, garbage }) => {
      return isCompressed && isSettled && lines.length > 0 && garbage === ''
    })
    if (blob === undefined) return
    const content = contentOf(blob)
    truncateSync(blob.file, 12 + Math.floor(this.#random() * (content.length - 20)))
    blob.isDamaged = true
    this.#isAnyRemoved = true
  }

  mendCompression(): void {
    for (const blob of this.#blobs.values()) {
      if (!blob.isDamaged) continue
      writeFileSync(blob.file, contentOf(blob))
      blob.isDamaged = false
    }
  }

  /** The mount is gone. */
  unmount(): void {
    const log = pick(Object.keys(this.#places) as LogName[], this.#random)
    const place = pick(this.#places[log], this.#random)
    const folder = join(this.#folder, place)
    if (this.#away !== undefined || !existsSync(folder)) return
    this.#away = { log, place }
    renameSync(folder, `${folder}-away`)
  }

  mount(): void {
    if (this.#away === undefined) return
    const folder = join(this.#folder, this.#away.place)
    renameSync(`${folder}-away`, folder)
    this.#away = undefined
  }

  #foldersOf(log: LogName): readonly string[] {
    return this.#places[log].map((place) => join(this.#folder, place))
  }

  /** Most come within ten minutes, some within the grace, and some hours later; some come twice. */
  #parcelsOf(log: LogName, item: object, isByEvent: boolean): readonly Parcel[] {
    const random = this.#random
    const eventMs = timeOf(item)
    const arrivals = Array.from({ length: random() < 0.1 ? 2 : 1 }, () => {
      const turn = random()
      if (turn < 0.8) return eventMs + (2 + random() * 8) * minute
      if (turn < 0.93) return eventMs + (10 + random() * 15) * minute
      return eventMs + (0.5 + random() * 8) * hour
    })
    return arrivals.map((arrivesAtMs) => {
      const place = pick(this.#places[log], random)
      const blob = `${place}/${pathOf(isByEvent ? eventMs : arrivesAtMs)}`
      return { log, place, text: JSON.stringify(item), blob, eventMs, arrivesAtMs }
    })
  }

  #begin(name: string, { log, place }: Parcel): Blob {
    const isCompressed = this.#random() < 0.25
    const blob: Blob = {
      log,
      place,
      file: join(this.#folder, `${name}${isCompressed ? '.gz' : ''}`),
      shape: this.#shapes[log],
      isCompressed,
      lines: [],
      garbage: '',
      torn: undefined,
      newestMs: -Infinity,
      isSettled: false,
      hasJustGrown: false,
      isDamaged: false,
    }
    this.#blobs.set(name, blob)
    return blob
  }

  #append(blob: Blob, texts: readonly string[]): void {
    blob.lines.push(...texts)
    blob.isSettled = false
    blob.hasJustGrown = true
    mkdirSync(dirname(blob.file), { recursive: true })
    const grows = blob.shape === 'lines' && !blob.isCompressed && blob.garbage === ''
    if (grows) appendFileSync(blob.file, shapes.lines(texts))
    else writeFileSync(blob.file, contentOf(blob))
  }

  #mendTorn(): void {
    for (const blob of this.#blobs.values()) {
      if (blob.torn === undefined || blob.place === this.#away?.place) continue
      appendFileSync(blob.file, `${blob.torn}\n`)
      this.#delivered[blob.log].push(required(blob.lines.at(-1)))
      blob.torn = undefined
    }
  }

  #any(isFit: (blob: Blob) => boolean): Blob | undefined {
    const fit = [...this.#blobs.values()].filter(
      (blob) => blob.place !== this.#away?.place && isFit(blob),
    )
    return fit.length === 0 ? undefined : pick(fit, this.#random)
  }

  #countOf(place: string): number {
    const blobs = [...this.#blobs.values()]
    return blobs.filter((blob) => blob.place === place && existsSync(blob.file)).length
  }
}

const startOf = ({ file }: Blob): number => hourStartOf(file) ?? Infinity

const isUnderstood = ({ garbage, torn, isDamaged }: Blob): boolean =>
  garbage === '' && torn === undefined && !isDamaged

function contentOf({ shape, isCompressed, lines, garbage }: Blob): Buffer {
  const text = Buffer.from(`${lines.length === 0 ? '' : shapes[shape](lines)}${garbage}`)
  return isCompressed ? gzipSync(text, { level: 1 }) : text
}

const pick = <Item>(items: readonly Item[], random: Random): Item =>
  required(items[Math.floor(random() * items.length)])

const shuffled = <Item>(items: readonly Item[], random: Random): readonly Item[] =>
  items
    .map((item) => ({ item, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item)

function timeOf(item: object): number {
  const { time, createdDateTime, activityDateTime } = item as Record<string, string | undefined>
  return Date.parse(time ?? createdDateTime ?? required(activityDateTime))
}

function pathOf(atMs: number): string {
  const [, year, month, day, at] = required(
    /^(\d+)-(\d+)-(\d+)T(\d+)/.exec(new Date(atMs).toISOString()) ?? undefined,
  )
  const path = `y=${year ?? ''}/m=${month ?? ''}/d=${day ?? ''}/h=${at ?? ''}/m=00/PT1H.json`
  return `container/resourceId=/SUBSCRIPTIONS/0/${path}`
}

/** So that each log is there from the beginning. */
function firstParcelOf(log: LogName, item: object): Parcel {
  const atMs = timeOf(item)
  const blob = `${log}/${pathOf(atMs)}`
  return { log, place: log, text: JSON.stringify(item), blob, eventMs: atMs, arrivesAtMs: atMs }
}

const signInOfOther = ({ startMs }: Story) =>
  signInLine(startMs - 2 * hour, newId(), {
    appId: '22222222-0000-4000-8000-000000000002',
    servicePrincipalId: '22222222-0000-4000-8000-0000000000b2',
    servicePrincipalCredentialThumbprint: 'CD'.repeat(20),
  })

const auditOfOther = ({ startMs }: Story) => ({
  id: newId(),
  activityDateTime: new Date(startMs - 2 * hour).toISOString(),
  activityDisplayName: 'Add owner to application',
  result: 'success',
  targetResources: [{ id: 'other', type: 'Application', modifiedProperties: [] }],
  additionalDetails: [{ key: 'AppId', value: '22222222-0000-4000-8000-000000000002' }],
})
