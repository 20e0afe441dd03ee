import { join, relative } from 'node:path'
import { sha256Base64url } from '../base/sha256.ts'
import { splitAtHour } from './blob-hour.ts'
import type { LogMark } from './log-source.ts'

/** A file of a log, as somebody saw it. */
export interface SeenFile {
  readonly file: string
  /** Another one when somebody has written or replaced it. */
  readonly state: string
  readonly bytes: number
  /** It is gone, or shorter: `bytes` is what it had. See `RemovedFiles`. */
  readonly group?: string
}

/**
 * What is remembered of the files below a path, short, because a year of one vault has 8,760 of them: each by the
 * hash of its folder and its name behind that, and each folder once.
 */
export function markOf(path: string, files: readonly SeenFile[]): LogMark {
  const mark: Record<string, string> = {}
  for (const { file, state, bytes, group } of files) {
    const { folder, rest } = splitAtHour(relative(path, file))
    const key = short(folder)
    mark[folderMember(key)] = folder
    mark[`${key}/${rest}`] = [state, bytes, ...(group === undefined ? [] : [group])].join(' ')
  }
  return mark
}

/** The files of a mark, by their paths. */
export function seenIn(path: string, mark: LogMark): ReadonlyMap<string, SeenFile> {
  const seen = Object.entries(mark).flatMap(([member, value]) => {
    const cut = member.indexOf('/')
    const folder = mark[folderMember(member.slice(0, cut))]
    if (cut === -1 || folder === undefined) return []
    const name = join(folder, member.slice(cut + 1))
    const file = name === '.' ? path : join(path, name)
    const [state = '', bytes, group] = value.split(' ')
    const seen = { file, state, bytes: Number(bytes), ...(group === undefined ? {} : { group }) }
    return [[file, seen] as const]
  })
  return new Map(seen)
}

/** What marks have that tell no names, as earlier versions made them. */
export const namelessStateIn = (mark: LogMark, file: string): string | undefined =>
  mark[short(file)]

const folderMember = (key: string): string => `in ${key}`

/** 96 bits. */
export const short = (text: string): string => sha256Base64url(text).slice(0, 16)
