import { z } from 'zod'
import { parsed, text } from '../yaml/forms.ts'
import { isLoopback } from '../base/loopback.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { parseHttpsOrigin } from './cloud.ts'
import type { CloudConfig, ExportConfig, LogStreamConfig } from './config.ts'

/** @param stream That is named where the file names none. */
export const ingestionForm = (stream: string) =>
  z
    .strictObject({
      endpoint: parsed(
        'the https URL of a logs ingestion endpoint, such as https://NAME.REGION-1.ingest.monitor.azure.com',
        parseHttpsOrigin,
        '^https://',
      ).describe(
        'Logs ingestion endpoint of the data collection rule, or of its collection endpoint.',
      ),
      rule: text(
        'the immutable id of a data collection rule (dcr- and 32 hexadecimal digits)',
        /^dcr-[0-9a-f]{32}$/,
      ).describe('Immutable id of the data collection rule.'),
      stream: text('the name of a stream that the rule declares (Custom-…)', /^Custom-\w{1,100}$/)
        .default(stream)
        .describe('Stream that the rule declares.'),
    })
    .describe('A table of Log Analytics, through a data collection rule.')

const logAnalyticsForm = ingestionForm('Custom-CountersignLedger')

export const exportForm = z
  .strictObject({ logAnalytics: logAnalyticsForm })
  .optional()
  .describe('Where entries of the ledger are sent besides. Absent: nowhere.')

export type ExportForm = z.output<typeof exportForm>

/** Hosts of the Logs Ingestion API, and what tokens for it are for. */
const monitors = {
  public: { suffix: 'ingest.monitor.azure.com', audience: 'https://monitor.azure.com' },
  usgov: { suffix: 'ingest.monitor.azure.us', audience: 'https://monitor.azure.us' },
  china: { suffix: 'ingest.monitor.azure.cn', audience: 'https://monitor.azure.cn' },
} as const

/**
 * Whether the cloud can have this endpoint: our token, and what the ledger says, must not go to anybody else.
 *
 * @param cloud Undefined when the file's own is broken: then nothing can be compared with it.
 */
export function checkIngestion(place: YamlPart, cloud: CloudConfig | undefined): void {
  const { endpoint } = place.seen(logAnalyticsForm)
  if (endpoint === undefined || cloud === undefined) return
  const { hostname, port } = new URL(endpoint)
  if (cloud.name === 'custom') {
    if (cloud.loopbackVaults || !isLoopback(hostname)) return
    place
      .at('endpoint')
      .report(
        'loopback-endpoint',
        `\`${place.name}.endpoint\` is on loopback, where anybody can play it: name one of the cloud, or use a \`cloud\` of your own with vaultSuffix: localhost.`,
      )
    return
  }
  const { suffix } = monitors[cloud.name]
  if (hostname.endsWith(`.${suffix}`) && port === '') return
  place
    .at('endpoint')
    .report(
      'foreign-endpoint',
      `\`${place.name}.endpoint\` is none of this \`cloud\`: its URL must be https://NAME.REGION-1.${suffix}.`,
    )
}

/** What is sent, by whatever names it: see {@link ingestionForm}. */
export function ingestionFrom(
  form: z.output<typeof logAnalyticsForm>,
  cloud: CloudConfig,
): LogStreamConfig {
  const { audience } = monitors[cloud.name === 'custom' ? 'public' : cloud.name]
  return { ...form, audience }
}

export function exportFrom(form: ExportForm, cloud: CloudConfig): ExportConfig | undefined {
  return form && { logAnalytics: ingestionFrom(form.logAnalytics, cloud) }
}
