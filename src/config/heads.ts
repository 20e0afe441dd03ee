import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { isMap } from '../yaml/yaml-document.ts'
import { parsed, text, wholeNumber } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig, HeadsConfig, OwnTable } from './config.ts'
import { checkLogTable, logTableFrom, workspaceMembers } from './log-table.ts'
import { signingPlaces } from './signing-places.ts'
import { isSameKey, vaultKeyForm, vaultKeyFrom } from './vault-key.ts'
import { checkVault } from './vault-url.ts'
import { wrappingKeyForm } from './wrapping-key.ts'

const keyForm = vaultKeyForm.describe(
  'Key that signs heads and nothing else: of no certificate, and with no other use.',
)

const ownTable = 'CountersignLedger_CL'

const anchorForm = z.strictObject({
  file: text('the path of a file')
    .optional()
    .describe(
      'Heads are appended to it, relative to this file: on another volume, that the service can only append to.',
    ),
  workspace: workspaceMembers.workspace
    .optional()
    .describe(
      'Id of the workspace of Log Analytics that `export.logAnalytics` sends to: `ledger verify --config` holds the ledger to the heads there.',
    ),
  table: parsed('the name of a table such as CountersignLedger_CL', parseOwnTable, '_CL$')
    .optional()
    .describe(
      'What its stream sends to; absent: CountersignLedger_CL, as in deploy/azure-monitor.',
    ),
  endpoint: workspaceMembers.endpoint,
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
    .array(anchorForm, { error: 'a list of places, each as { file: PATH } or { workspace: ID }' })
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
  checkAnchorPlaces(root, part, cloud)
}

function checkOwnKey(root: YamlPart, key: YamlPart, vault: string, name: string): void {
  const wrapping = root.at('tokenCache').at('wrappingKey')
  const others = [
    ...signingPlaces(root.at('certificates')),
    { at: wrapping, ...wrapping.seen(wrappingKeyForm) },
  ]
  for (const other of others) {
    if (!isSameKey(other, { vault, name })) continue
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

function checkAnchorPlaces(root: YamlPart, part: YamlPart, cloud: CloudConfig | undefined): void {
  for (const [, anchor] of part.at('anchors').parts()) {
    if (!isMap(anchor.value)) continue
    const has = (name: keyof z.output<typeof anchorForm>) => anchor.at(name).value !== undefined
    const isWorkspace = has('workspace')
    if (has('file') === isWorkspace || (!isWorkspace && (has('endpoint') || has('table')))) {
      anchor.report(
        'one-of',
        `\`${anchor.name}\` must be one place: have \`file\`, or \`workspace\` and what belongs to that.`,
      )
    } else if (isWorkspace) {
      checkLogTable(anchor, cloud)
      if (root.at('export').at('logAnalytics').value !== undefined) continue
      anchor.report(
        'anchor-without-export',
        `\`${anchor.name}\` is a workspace, and heads come there with the entries that are exported, which are none: add \`export.logAnalytics\`.`,
        'warning',
      )
    }
  }
}

export function headsFrom(
  form: HeadsForm | undefined,
  folder: string,
  cloud: CloudConfig,
): HeadsConfig | undefined {
  if (form === undefined) return undefined
  const { key, everySeconds, everyEntries, anchors } = form
  return {
    key: vaultKeyFrom(key),
    everySeconds,
    everyEntries,
    anchors: anchors.flatMap(({ file }) =>
      file === undefined ? [] : { file: resolve(folder, file) },
    ),
    workspaces: anchors.flatMap(({ workspace, table = ownTable, endpoint }) =>
      workspace === undefined ? [] : logTableFrom({ workspace, endpoint }, table, cloud),
    ),
  }
}

function parseOwnTable(written: string): OwnTable | undefined {
  return /^[A-Za-z]\w{0,60}_CL$/.test(written) ? (written as OwnTable) : undefined
}
