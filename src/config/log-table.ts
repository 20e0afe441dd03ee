import { z } from 'zod'
import { isLoopback } from '../base/loopback.ts'
import { isMap } from '../yaml/yaml-document.ts'
import { guidPattern, oneOf, parsed } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { parseHttpsOrigin } from './cloud.ts'
import type { CloudConfig, LogTableConfig } from './config.ts'
import { parseGuid } from './expect.ts'

/** Of a workspace of Log Analytics, whatever table is meant. */
export const workspaceMembers = {
  workspace: parsed('the workspace id (a GUID)', parseGuid, guidPattern).describe(
    'Id of a workspace of Log Analytics.',
  ),
  endpoint: parsed('an https origin such as https://localhost:8443', parseHttpsOrigin, '^https://')
    .optional()
    .describe(
      "Where it is queried, for a `cloud` of your own; absent: the cloud's Logs Query API.",
    ),
}

/** Entra's logs have one table each. */
export const entraTableForm = z.strictObject(workspaceMembers)

const vaultTables = ['AZKVAuditLogs', 'AzureDiagnostics'] as const

export const vaultTableForm = z.strictObject({
  ...workspaceMembers,
  table: oneOf(vaultTables)
    .default('AZKVAuditLogs')
    .describe('AZKVAuditLogs, or AzureDiagnostics where the diagnostic setting says so.'),
})

/** Hosts of the Logs Query API, and what tokens for it are for. */
const queryApis = {
  public: { endpoint: 'https://api.loganalytics.io', audience: 'https://api.loganalytics.io' },
  usgov: { endpoint: 'https://api.loganalytics.us', audience: 'https://api.loganalytics.us' },
  china: {
    endpoint: 'https://api.loganalytics.azure.cn',
    audience: 'https://api.loganalytics.azure.cn',
  },
} as const

/**
 * Whether the cloud can have this endpoint: our token must not go to anybody else.
 *
 * @param cloud Undefined when the file's own is broken: then nothing can be compared with it.
 */
export function checkLogTable(place: YamlPart, cloud: CloudConfig | undefined): void {
  if (!isMap(place.value) || cloud === undefined) return
  const { endpoint } = place.seen(entraTableForm)
  if (cloud.name === 'custom') checkCustom(place, endpoint, cloud)
  else if (endpoint !== undefined && endpoint !== queryApis[cloud.name].endpoint) {
    place
      .at('endpoint')
      .report(
        'foreign-endpoint',
        `\`${place.name}.endpoint\` is none of this \`cloud\`: remove it, or name ${queryApis[cloud.name].endpoint}.`,
      )
  }
}

function checkCustom(place: YamlPart, endpoint: string | undefined, cloud: CloudConfig): void {
  if (place.at('endpoint').value === undefined) {
    place.report(
      'no-endpoint',
      `\`${place.name}\` names no \`endpoint\`, and nobody knows where a \`cloud\` of your own is queried: add it.`,
    )
  } else if (
    endpoint !== undefined &&
    !cloud.loopbackVaults &&
    isLoopback(new URL(endpoint).hostname)
  ) {
    place
      .at('endpoint')
      .report(
        'loopback-endpoint',
        `\`${place.name}.endpoint\` is on loopback, where anybody can play it: name one of the cloud, or use a \`cloud\` with vaultSuffix: localhost.`,
      )
  }
}

/** Of a form that {@link checkLogTable} has nothing to say about. */
export function logTableFrom(
  form: z.output<typeof entraTableForm>,
  table: LogTableConfig['table'],
  cloud: CloudConfig,
): LogTableConfig {
  const api = queryApis[cloud.name === 'custom' ? 'public' : cloud.name]
  return { ...api, ...form, endpoint: form.endpoint ?? api.endpoint, table }
}
