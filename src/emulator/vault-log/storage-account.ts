import { closeSync, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** How a blob frames its records: Azure writes JSON Lines today, and has written the others. */
export type BlobShape = 'json-lines' | 'records' | 'array'

interface Frame {
  readonly open: string
  readonly between: string
  readonly close: string
}

const frames: Readonly<Record<BlobShape, Frame>> = {
  'json-lines': { open: '', between: '', close: '\n' },
  records: { open: '{"records":[\n', between: ',\n', close: '\n]}\n' },
  array: { open: '[\n', between: ',\n', close: '\n]\n' },
}

/** A folder that looks like a storage account into which Azure Monitor exports logs. */
export interface StorageAccount {
  /**
   * Writes a record into the blob of an hour; it is in the file when this returns.
   *
   * @param path Of the blob below the account, as `blobPath` gives it.
   */
  append(record: unknown, path: string): void
  close(): void
}

interface Blob {
  readonly descriptor: number
  bytes: number
}

/**
 * Blobs of an earlier run, found in the folder, are continued.
 *
 * @param containers There from the start, so that a reader of an empty log finds it empty and not missing.
 */
export function openStorageAccount(
  folder: string,
  shape: BlobShape,
  containers: readonly string[],
): StorageAccount {
  for (const container of containers) mkdirSync(join(folder, container), { recursive: true })
  const blobs = new Map<string, Blob>()
  const frame = frames[shape]
  const blobAt = (path: string) => {
    const known = blobs.get(path)
    if (known !== undefined) return known
    const opened = openBlob(join(folder, path))
    blobs.set(path, opened)
    return opened
  }
  return {
    append: (record, path) => {
      appendTo(blobAt(path), JSON.stringify(record), shape, frame)
    },
    close: () => {
      for (const { descriptor } of blobs.values()) closeSync(descriptor)
      blobs.clear()
    },
  }
}

/** Where the log of a vault, or of a tenant, lies in an account. */
export interface LogPlace {
  /** Such as `insights-logs-auditevent`. */
  readonly container: string
  /** Such as `resourceId=/SUBSCRIPTIONS/…`, or `tenantId=…`. */
  readonly scope: string
}

/**
 * Path of a blob below the account; `m=00` is minutes, which Azure never uses.
 *
 * @param hourIso Any time within its hour, UTC.
 */
export function blobPath({ container, scope }: LogPlace, hourIso: string): string {
  const [, year, month, day, hour] = /^(\d{4})-(\d\d)-(\d\d)T(\d\d)/.exec(hourIso) ?? []
  return `${container}/${scope}/y=${year ?? ''}/m=${month ?? ''}/d=${day ?? ''}/h=${hour ?? ''}/m=00/PT1H.json`
}

function openBlob(file: string): Blob {
  mkdirSync(dirname(file), { recursive: true })
  // Creates without emptying; 'a' would refuse to write over the closing bracket.
  closeSync(openSync(file, 'a'))
  const descriptor = openSync(file, 'r+')
  return { descriptor, bytes: fstatSync(descriptor).size }
}

/** The closing bracket is overwritten by the next record, so that the blob is whole at any time. */
function appendTo(blob: Blob, line: string, shape: BlobShape, frame: Frame): void {
  const first = blob.bytes === 0
  const keepsClose = shape === 'json-lines'
  const position = first || keepsClose ? blob.bytes : blob.bytes - frame.close.length
  const text = `${first ? frame.open : frame.between}${line}${frame.close}`
  blob.bytes = position + writeSync(blob.descriptor, text, position)
}
