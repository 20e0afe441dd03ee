import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { flag, text, wholeNumber } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig, HeadsConfig } from './config.ts'
import { signingPlaces } from './signing-places.ts'
import { checkVault, vaultForm } from './vault-url.ts'
import { wrappingKeyForm } from './wrapping-key.ts'

const keyForm = z
  .strictObject({
    vault: vaultForm.describe('URL of the Key Vault that holds the key.'),
    name: text(
      'the name of a key in that vault (letters, digits and hyphens, at most 127)',
      /^[0-9A-Za-z-]{1,127}$/,
    ).describe('What the vault calls the key.'),
    requireHsm: flag()
      .default(true)
      .describe('Refuses a key that no HSM holds. Exportable keys are always refused.'),
  })
  .describe('Key that signs heads and nothing else: of no certificate, and with no other use.')

const anchorForm = z.strictObject({
  file: text('the path of a file').describe(
    'Heads are appended to it, relative to this file: on another volume, that the service can only append to.',
  ),
})

const settings = z.strictObject({
  key: keyForm,
  everySeconds: wholeNumber(10, 86_400)
    .default(60)
    .describe('Seconds from one head to the next, at most.'),
  everyEntries: wholeNumber(100, 10_000_000)
    .default(10_000)
    .describe('Entries from one head to the next, at most.'),
  anchors: z
    .array(anchorForm, { error: 'a list of places, each as { file: PATH }' })
    .default([])
    .describe('Where each head is kept besides the ledger.'),
})

export const headsForm = settings
  .optional()
  .describe(
    'Signed statements of what the ledger holds: whoever keeps one sees if that is ever changed. Absent: there are none.',
  )

export type HeadsForm = z.output<typeof settings>

/** @param cloud Undefined when the file's own is broken: then no vault can be compared with it. */
export function checkHeads(root: YamlPart, cloud: CloudConfig | undefined): void {
  const part = root.at('heads')
  const key = part.at('key')
  const { vault, name } = key.seen(keyForm)
  if (vault !== undefined && cloud !== undefined) checkVault(key.at('vault'), vault, cloud)
  if (vault !== undefined && name !== undefined) checkOwnKey(root, key, vault, name)
  checkAnchors(root, part)
}

/** Names have no case in a vault. */
function checkOwnKey(root: YamlPart, key: YamlPart, vault: string, name: string): void {
  const wrapping = root.at('tokenCache').at('wrappingKey')
  const others = [
    ...signingPlaces(root.at('certificates')),
    { at: wrapping, ...wrapping.seen(wrappingKeyForm) },
  ]
  for (const other of others) {
    if (other.vault !== vault || other.name?.toLowerCase() !== name.toLowerCase()) continue
    key
      .at('name')
      .report(
        'key-in-use',
        `\`${key.name}\` is the key of \`${other.at.name}\`, and what signs heads must do nothing else: name one that is for heads alone.`,
      )
  }
}

/** Whoever can write the one can write the other. */
function checkAnchors(root: YamlPart, part: YamlPart): void {
  const ledger = root.at('ledger').at('sqlite').value
  if (typeof ledger !== 'string') return
  for (const [, anchor] of part.at('anchors').parts()) {
    const { value } = anchor.at('file')
    if (typeof value !== 'string' || dirname(resolve('/', value)) !== dirname(resolve('/', ledger)))
      continue
    anchor
      .at('file')
      .report(
        'anchor-beside-ledger',
        `\`${anchor.at('file').name}\` is in the folder of the ledger, and who can write the one can write the other: name a file on another volume.`,
        'warning',
      )
  }
}

export function headsFrom(form: HeadsForm | undefined, folder: string): HeadsConfig | undefined {
  if (form === undefined) return undefined
  const { key, everySeconds, everyEntries, anchors } = form
  return {
    key: { vault: key.vault, nameInVault: key.name, requireHsm: key.requireHsm },
    everySeconds,
    everyEntries,
    anchors: anchors.map(({ file }) => ({ file: resolve(folder, file) })),
  }
}
