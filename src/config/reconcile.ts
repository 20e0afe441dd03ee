import { resolve } from 'node:path'
import { z } from 'zod'
import { isLoopback } from '../base/loopback.ts'
import { isMap } from '../yaml/yaml-document.ts'
import { parsed, text, wholeNumber } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type {
  CloudConfig,
  LogPlaceConfig,
  LogSourceConfig,
  LogTableConfig,
  ReconcileConfig,
} from './config.ts'
import { ingestionForm, checkIngestion, ingestionFrom } from './export.ts'
import { checkLogTable, entraTableForm, logTableFrom, vaultTableForm } from './log-table.ts'

const placeExpects = 'the path of a file or folder, or a map with a workspace'
const placeForm = <Table extends z.ZodType>(table: Table) =>
  z.union([text(placeExpects), table], { error: placeExpects }).optional()

const sourceForm = z.strictObject({
  vaultLog: placeForm(vaultTableForm).describe(
    "Records of the vaults: a file, the folder of a storage account's container, or a table of a workspace.",
  ),
  signInLog: placeForm(entraTableForm).describe(
    "Entra's sign-ins of service principals, likewise.",
  ),
  auditLog: placeForm(entraTableForm).describe("Entra's directory audits, likewise."),
})

export const sourcesForm = z
  .array(sourceForm, { error: 'a list of logs, each such as { vaultLog: PATH }' })
  .default([])
  .describe('The logs that the ledger is held to. Paths start at the folder of this file.')

const webhookForm = z
  .strictObject({
    url: parsed('an https URL (http on loopback alone)', parseWebhookUrl, '^https?://').describe(
      'Where findings are posted as JSON.',
    ),
    secretFile: text('the path of a file')
      .optional()
      .describe(
        'File with the secret that signs what is posted, relative to this file. Absent: COUNTERSIGN_WEBHOOK_SECRET, or no signature.',
      ),
  })
  .describe('Whom to tell of findings.')

export const reconcileForm = z
  .strictObject({
    sources: sourcesForm,
    graceMinutes: wholeNumber(0, 7 * 24 * 60)
      .default(30)
      .describe('How late records may arrive.'),
    webhook: webhookForm.optional(),
    logAnalytics: ingestionForm('Custom-CountersignFindings').optional(),
  })
  .prefault({})
  .describe(
    'What `countersign reconcile` reads, and whom it tells. The service reads the logs for `/audit` alone.',
  )

export type ReconcileForm = z.output<typeof reconcileForm>

const kinds = ['vaultLog', 'signInLog', 'auditLog'] as const

/** @param cloud Undefined when the file's own is broken: then nothing can be compared with it. */
export function checkReconcile(part: YamlPart, cloud: CloudConfig | undefined): void {
  checkSources(part.at('sources'), cloud)
  checkIngestion(part.at('logAnalytics'), cloud)
}

/** @param cloud See {@link checkReconcile}. */
export function checkSources(sources: YamlPart, cloud: CloudConfig | undefined): void {
  for (const [, source] of sources.parts()) checkSource(source, cloud)
}

function checkSource(source: YamlPart, cloud: CloudConfig | undefined): void {
  for (const kind of kinds) checkLogTable(source.at(kind), cloud)
  if (isMap(source.value) && kinds.filter((kind) => isSaid(source.at(kind))).length !== 1) {
    source.report(
      'one-of',
      `\`${source.name}\` must name one log: have one of ${kinds.map((kind) => `\`${kind}\``).join(', ')}, and each log in an item of its own.`,
    )
  }
}

const isSaid = ({ value }: YamlPart): boolean => value !== undefined

export function reconcileFrom(
  form: ReconcileForm,
  folder: string,
  cloud: CloudConfig,
): ReconcileConfig {
  const { sources, graceMinutes, webhook, logAnalytics } = form
  return {
    sources: sourcesFrom(sources, folder, cloud),
    graceMs: graceMinutes * 60_000,
    webhook:
      webhook === undefined
        ? undefined
        : {
            url: webhook.url,
            ...(webhook.secretFile === undefined
              ? {}
              : { secretFile: resolve(folder, webhook.secretFile) }),
          },
    logAnalytics: logAnalytics && ingestionFrom(logAnalytics, cloud),
  }
}

/** Of a form that {@link checkSources} has nothing to say about. */
export const sourcesFrom = (
  sources: z.output<typeof sourcesForm>,
  folder: string,
  cloud: CloudConfig,
): readonly LogSourceConfig[] => sources.map((source) => sourceFrom(source, folder, cloud))

function sourceFrom(
  { vaultLog, signInLog, auditLog }: z.output<typeof sourceForm>,
  folder: string,
  cloud: CloudConfig,
): LogSourceConfig {
  const placed = (
    place: string | z.output<typeof entraTableForm>,
    table: LogTableConfig['table'],
  ): LogPlaceConfig =>
    typeof place === 'string'
      ? { path: resolve(folder, place) }
      : { table: logTableFrom(place, table, cloud) }
  if (vaultLog !== undefined) {
    const table = typeof vaultLog === 'string' ? 'AZKVAuditLogs' : vaultLog.table
    return { kind: 'vault-log', ...placed(vaultLog, table) }
  }
  if (signInLog !== undefined) {
    return { kind: 'signin-log', ...placed(signInLog, 'AADServicePrincipalSignInLogs') }
  }
  if (auditLog !== undefined) return { kind: 'audit-log', ...placed(auditLog, 'AuditLogs') }
  throw new TypeError('a source names a log')
}

/** No user and password: those would be in every copy of the configuration. */
function parseWebhookUrl(written: string): string | undefined {
  const url = URL.parse(written)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') {
    return undefined
  }
  const isPrivate =
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  return isPrivate ? url.href : undefined
}
