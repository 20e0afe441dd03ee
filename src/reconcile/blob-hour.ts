import { parseIsoTime } from '../base/clock.ts'

/** Where the hour stands in the path of a blob; what comes before tells whose log it is. */
const blobPath = /^(?:(.*)[/\\])?(y=(\d{4})[/\\]m=(\d\d)[/\\]d=(\d\d)[/\\]h=(\d\d)[/\\].*)$/

/** When the hour begins by which a blob is named, milliseconds since the Unix epoch; undefined for other files. */
export function hourStartOf(file: string): number | undefined {
  const [, , , year, month, day, hour] = blobPath.exec(file) ?? []
  return parseIsoTime(`${year ?? ''}-${month ?? ''}-${day ?? ''}T${hour ?? ''}:00:00Z`)
}

/** Rows of a table are named by their hour. */
const rowsName = / at (\d{4}-\d\d-\d\dT\d\d)$/

/** The same of any place of a log: a blob, or the rows of an hour in a table. */
export function hourOfPlace(name: string): number | undefined {
  const [, hour] = rowsName.exec(name) ?? []
  return hour === undefined ? hourStartOf(name) : parseIsoTime(`${hour}:00:00Z`)
}

/** The folder of the log that a file is of, and what is left of its path. */
export function splitAtHour(file: string): { readonly folder: string; readonly rest: string } {
  const [, folder = '', rest] = blobPath.exec(file) ?? []
  return rest === undefined ? { folder: '', rest: file } : { folder, rest }
}
