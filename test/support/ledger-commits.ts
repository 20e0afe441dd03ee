import { readFileSync } from 'node:fs'

const headerBytes = 32
const frameHeaderBytes = 24

/**
 * How many commits have written to a ledger file since its log was begun: one frame of each says so
 * (https://sqlite.org/fileformat.html#the_write_ahead_log). Only while nothing has been moved from the log
 * into the file, which takes a thousand pages.
 */
export function commitsIn(ledgerFile: string): number {
  const log = readFileSync(`${ledgerFile}-wal`)
  const salt = log.subarray(16, 24)
  const frameBytes = frameHeaderBytes + log.readUInt32BE(8)
  let commits = 0
  for (let at = headerBytes; at + frameBytes <= log.length; at += frameBytes) {
    const isOfThisLog = log.subarray(at + 8, at + 16).equals(salt)
    if (!isOfThisLog) throw new Error('the log was begun anew')
    if (log.readUInt32BE(at + 4) > 0) commits += 1
  }
  return commits
}
