import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { isUrl } from '../../base/postgres-url.ts'
import { parsePublicKey } from '../../base/public-key.ts'
import { isMap } from '../../yaml/yaml-document.ts'
import type { YamlPart } from '../../yaml/yaml-part.ts'
import { identityFrom } from '../agent/load-agent.ts'
import { loadDocument, type LoadedDocument } from '../load-document.ts'
import { type NamedFiles, readNamedFile } from '../named-files.ts'
import { checkAuthorityFile, checkKeyPair } from '../pem-files.ts'
import { cloudFrom } from '../cloud.ts'
import { expectFrom } from '../expect.ts'
import { checkSources, sourcesFrom } from '../reconcile.ts'
import { vaultKeyFrom } from '../vault-key.ts'
import { checkVault } from '../vault-url.ts'
import type {
  WitnessConfig,
  WitnessFeedConfig,
  WitnessKeyConfig,
  WitnessReconcileConfig,
} from './witness-config.ts'
import {
  reconcileForm,
  type WitnessForm,
  witnessForm,
  witnessVaultKeyForm,
} from './witness-form.ts'

/**
 * Reads `witness.yaml` and the keys that it names. What is wrong with them is an answer and never thrown.
 *
 * @param file As it was named: problems repeat it, and paths in it start at its folder.
 */
export const loadWitness = (
  file: string,
  namedFiles: NamedFiles,
): Promise<LoadedDocument<WitnessConfig>> =>
  loadDocument(file, {
    noun: 'witness',
    form: witnessForm,
    check: async (root) => {
      checkFeed(root)
      checkPlaces(root)
      checkKey(root.at('key'))
      checkLogs(root)
      await checkFiles(root, dirname(file), namedFiles)
    },
    configFrom: (form) => {
      const feed = feedFrom(form, resolve(dirname(file)))
      return feed && configFrom(form, feed, resolve(dirname(file)))
    },
  })

function checkFeed(root: YamlPart): void {
  const has = (name: string) => root.at(name).value !== undefined
  if (has('service') === has('ledger')) {
    root.report(
      'feed',
      'Name what is followed: either `service`, or `ledger` for a witness that may read it where it is kept.',
    )
  } else if (has('service') && !has('identity')) {
    root.report(
      'no-identity',
      '`service` answers who may read: say with `identity` how the witness proves who it is.',
    )
  } else if (has('ledger') && has('identity')) {
    root
      .at('identity')
      .report('identity-unused', '`identity` is for `service`: a ledger is read as it lies there.')
  }
}

/** Whoever can write the one can write the other. */
function checkPlaces(root: YamlPart): void {
  const ledger = root.at('ledger').value
  if (typeof ledger !== 'string' || isUrl(ledger)) return
  for (const [, anchor] of root.at('anchors').parts()) {
    const { value } = anchor.at('file')
    const isBeside =
      typeof value === 'string' && dirname(resolve('/', value)) === dirname(resolve('/', ledger))
    if (!isBeside) continue
    anchor
      .at('file')
      .report(
        'anchor-beside-ledger',
        `\`${anchor.at('file').name}\` is in the folder of the ledger, and who can write the one can write the other: name a file on another volume.`,
        'warning',
      )
  }
}

/** Our token must not go to anybody else. */
function checkKey(key: YamlPart): void {
  if (!isMap(key.value)) return
  const { vault, cloud } = key.seen(witnessVaultKeyForm)
  if (vault !== undefined && cloud !== undefined) {
    checkVault(key.at('vault'), vault, cloudFrom(cloud))
  }
}

function checkLogs(root: YamlPart): void {
  const reconcile = root.at('reconcile')
  if (reconcile.value === undefined) {
    if (root.at('expect').value === undefined) return
    root
      .at('expect')
      .report('expect-unused', '`expect` is for `reconcile`: without it no log is looked at.')
    return
  }
  if (!isMap(reconcile.value)) return
  const { cloud } = reconcile.seen(reconcileForm)
  const sources = reconcile.at('sources')
  checkSources(sources, cloud && cloudFrom(cloud))
  const isOfVault = sources.parts().some(([, source]) => source.at('vaultLog').value !== undefined)
  if (isOfVault || reconcile.at('vaultLog').value !== undefined) return
  reconcile.report(
    'no-vault-log',
    '`reconcile` names no log of a vault: have one among its `sources`, such as { vaultLog: PATH }.',
  )
}

async function checkFiles(root: YamlPart, folder: string, namedFiles: NamedFiles): Promise<void> {
  await checkAuthorityFile(root.at('service').at('caFile'), folder, namedFiles)
  const identity = root.at('identity')
  if (identity.at('kind').value === 'certificate') {
    await checkKeyPair(identity.at('certFile'), identity.at('keyFile'), folder, namedFiles)
  }
  for (const [, part] of root.at('headKeys').parts()) {
    const text = await readNamedFile(part, folder, namedFiles, 'key-file')
    if (text === undefined || parsePublicKey(text)?.asymmetricKeyType === 'rsa') continue
    part.report(
      'no-key',
      `The file of \`${part.name}\` must hold the public key of heads, RSA, as PEM or as a JWK.`,
    )
  }
}

function feedFrom(
  { service, identity, ledger }: WitnessForm,
  folder: string,
): WitnessFeedConfig | undefined {
  if (ledger !== undefined) {
    return { from: 'ledger', ledger: isUrl(ledger) ? ledger : resolve(folder, ledger) }
  }
  if (service === undefined || identity === undefined) return undefined
  const { url, caFile, audience } = service
  return {
    from: 'service',
    service: {
      origin: url,
      audience: audience ?? url,
      ...(caFile === undefined ? {} : { caFile: resolve(folder, caFile) }),
    },
    identity: identityFrom(identity, folder),
  }
}

function keyFrom(key: WitnessForm['key'], folder: string): WitnessKeyConfig {
  if (typeof key === 'string') return { in: 'file', file: resolve(folder, key) }
  const { credential, cloud, ...named } = key
  return { in: 'vault', ...vaultKeyFrom(named), credential, cloud: cloudFrom(cloud) }
}

function reconcileFrom(
  form: z.output<typeof reconcileForm>,
  folder: string,
): Omit<WitnessReconcileConfig, 'expect'> {
  const { sources, vaultLog, cloud: named, ...others } = form
  const cloud = cloudFrom(named)
  return {
    ...others,
    cloud,
    sources: [
      ...sourcesFrom(sources, folder, cloud),
      ...vaultLog.map((path) => ({ kind: 'vault-log' as const, path: resolve(folder, path) })),
    ],
  }
}

function configFrom(form: WitnessForm, feed: WitnessFeedConfig, folder: string): WitnessConfig {
  const { reconcile, expect, metricsFile, ledgerId } = form
  return {
    feed,
    headKeyFiles: form.headKeys.map((file) => resolve(folder, file)),
    key: keyFrom(form.key, folder),
    storeFile: resolve(folder, form.store),
    ...(ledgerId === undefined ? {} : { ledger: ledgerId }),
    anchors: form.anchors.map(({ file }) => ({ file: resolve(folder, file) })),
    everySeconds: form.everySeconds,
    silentAfterSeconds: form.headEverySeconds * form.silentAfterHeads,
    ...(reconcile === undefined
      ? {}
      : { reconcile: { ...reconcileFrom(reconcile, folder), expect: expectFrom(expect) } }),
    ...(metricsFile === undefined ? {} : { metricsFile: resolve(folder, metricsFile) }),
  }
}
