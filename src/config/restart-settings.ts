import { isDeepStrictEqual } from 'node:util'
import type { CallersListenConfig, Config } from './config.ts'

/**
 * Settings that a running process cannot change: what it listens on, where it writes, whom it is to
 * others, and how it reaches the cloud.
 *
 * @returns Their names as the file has them, those that differ; empty when the second can be put into
 *   force behind the first. What is not known here needs a restart.
 */
export function restartSettings(before: Config, after: Config): readonly string[] {
  const sections = differing(without(madeAnew, before), without(madeAnew, after))
  const inListen = differing(boundIn(before.listen), boundIn(after.listen))
  const names = new Set(inListen.map((name) => `listen.${nameOf.get(name) ?? name}`))
  return [...sections, ...names].toSorted()
}

/**
 * Of the sections, those that each configuration has of its own, where people sign in among them, and those that are looked at
 * whenever the page for auditors is made; `listen` is looked at part by part.
 */
const madeAnew: ReadonlySet<string> = new Set<keyof Config>([
  'applications',
  'issuers',
  'certificates',
  'audit',
  'expect',
  'reconcile',
  'listen',
])

/** How many requests one caller may have, and which files hold the certificate, can change. */
function boundIn(listen: CallersListenConfig): object {
  const { transport } = listen
  const bound = without(new Set<keyof CallersListenConfig>(['requestsPerCallerMax']), listen)
  if (transport.kind !== 'tls') return bound
  const { clientCertificates } = transport
  return { ...bound, transport: transport.kind, clientCertificates }
}

const without = (names: ReadonlySet<string>, section: object): object =>
  Object.fromEntries(Object.entries(section).filter(([name]) => !names.has(name)))

/** What the file calls them. */
const nameOf: ReadonlyMap<string, string> = new Map([
  ['connectionsMax', 'maxConnections'],
  ['connectionsPerAddressMax', 'maxConnectionsPerAddress'],
  ['transport', 'tls or behindProxy'],
  [
    'clientCertificates',
    'tls, because clients are asked for certificates by the first issuer that needs them',
  ],
])

function differing(before: object, after: object): readonly string[] {
  const was = new Map(Object.entries(before))
  const is = new Map(Object.entries(after))
  return [...new Set([...was.keys(), ...is.keys()])].filter(
    (name) => !isDeepStrictEqual(was.get(name), is.get(name)),
  )
}
