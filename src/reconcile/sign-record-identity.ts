import { keyVersionText } from './key-name.ts'
import type { SignRecord } from './vault-record.ts'

export const isSuccess = ({ httpStatusCode }: SignRecord): boolean => httpStatusCode === 200

/** Azure promises neither order nor once-only; this tells records apart, whatever form they came in. */
export function identityOf(record: SignRecord): string {
  const { correlationId, time, clientInfo = '' } = record
  return `${correlationId === '' ? `${time} ${clientInfo}` : correlationId} ${distinctionOf(record)}`
}

/** What tells records under one id apart. */
const distinctionOf = ({ timeMs, httpStatusCode, oid = '', key }: SignRecord): string =>
  `${timeMs} ${httpStatusCode} ${oid} ${keyVersionText(key)}`

/** FNV-1a of the same facts: whoever wants two records to be taken for one would have to choose what Azure writes. */
export function fingerprintOf({ timeMs, httpStatusCode, oid = '', key }: SignRecord): number {
  return hashOf(`${timeMs} ${httpStatusCode} ${oid}`, hashOfKey(key)) | 0
}

/** Made once for each object: records that were read by one mould have theirs in common. */
const keyHashes = new WeakMap<SignRecord['key'], number>()

function hashOfKey(key: SignRecord['key']): number {
  const known = keyHashes.get(key)
  if (known !== undefined) return known
  const hash = hashOf(keyVersionText(key), 0x811c9dc5)
  keyHashes.set(key, hash)
  return hash
}

function hashOf(text: string, begun: number): number {
  let hash = begun
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash
}

/** So that no order of delivery decides anything. */
export function bySuccessThenTime(one: SignRecord, other: SignRecord): number {
  return (
    Number(isSuccess(other)) - Number(isSuccess(one)) ||
    one.timeMs - other.timeMs ||
    compareText(one.time, other.time) ||
    compareText(identityOf(one), identityOf(other))
  )
}

const compareText = (one: string, other: string): number => (one < other ? -1 : Number(one > other))
