// Writes what deploy/azure-monitor deploys: the tables and the data collection rules with the columns that entries
// and findings have as rows, and the workbook and the analytic rule with the queries beside them, so that none of it is said twice.
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { entryColumns } from '../src/custody/entry-row.ts'
import { findingColumns } from '../src/custody/finding-row.ts'

const root = resolve(import.meta.dirname, '..')
const folder = 'deploy/azure-monitor'

/** Built-in: may send to a data collection rule, and nothing else there. */
const monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

const template = (parameters: object, rest: object) => ({
  $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
  contentVersion: '1.0.0.0',
  parameters,
  ...rest,
})

const text = (description: string) => ({ type: 'string', metadata: { description } })
const workspaceParameter = text('Name of the Log Analytics workspace, in this resource group.')
const location = { type: 'string', defaultValue: '[resourceGroup().location]' }

const ruleId = "[resourceId('Microsoft.Insights/dataCollectionRules', parameters('ruleName'))]"
const workspaceId =
  "[resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspace'))]"

/** A table, the rule that fills it, and the role of who may send to the rule. */
interface Streamed {
  readonly table: string
  readonly stream: string
  readonly columns: Readonly<Record<string, string>>
  readonly ruleName: string
  /** Completes "Object id of the managed identity, or service principal, of …". */
  readonly sender: string
}

const streamTemplate = ({ table, stream, columns: typesOf, ruleName, sender }: Streamed) => {
  const columns = Object.entries(typesOf).map(([name, type]) => ({ name, type }))
  const tableId = `[resourceId('Microsoft.OperationalInsights/workspaces/tables', parameters('workspace'), '${table}')]`
  return template(
    {
      workspace: workspaceParameter,
      location,
      ruleName: { type: 'string', defaultValue: ruleName },
      servicePrincipal: text(
        `Object id of the managed identity, or service principal, of ${sender}.`,
      ),
      retentionDays: { type: 'int', defaultValue: 90, minValue: 4, maxValue: 730 },
    },
    {
      resources: [
        {
          type: 'Microsoft.OperationalInsights/workspaces/tables',
          apiVersion: '2022-10-01',
          name: `[concat(parameters('workspace'), '/${table}')]`,
          properties: {
            plan: 'Analytics',
            retentionInDays: "[parameters('retentionDays')]",
            totalRetentionInDays: "[parameters('retentionDays')]",
            schema: { name: table, columns },
          },
        },
        {
          // Direct: it has an endpoint of its own, and needs no data collection endpoint.
          type: 'Microsoft.Insights/dataCollectionRules',
          apiVersion: '2023-03-11',
          name: "[parameters('ruleName')]",
          location: "[parameters('location')]",
          kind: 'Direct',
          dependsOn: [tableId],
          properties: {
            streamDeclarations: { [stream]: { columns } },
            destinations: {
              logAnalytics: [{ name: 'workspace', workspaceResourceId: workspaceId }],
            },
            dataFlows: [
              {
                streams: [stream],
                destinations: ['workspace'],
                transformKql: 'source',
                outputStream: `Custom-${table}`,
              },
            ],
          },
        },
        {
          type: 'Microsoft.Authorization/roleAssignments',
          apiVersion: '2022-04-01',
          name: "[guid(resourceId('Microsoft.Insights/dataCollectionRules', parameters('ruleName')), parameters('servicePrincipal'))]",
          scope: ruleId,
          dependsOn: [ruleId],
          properties: {
            roleDefinitionId: `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${monitoringMetricsPublisher}')]`,
            principalId: "[parameters('servicePrincipal')]",
            principalType: 'ServicePrincipal',
          },
        },
      ],
      outputs: {
        endpoint: {
          type: 'string',
          value:
            "[reference(resourceId('Microsoft.Insights/dataCollectionRules', parameters('ruleName')), '2023-03-11').endpoints.logsIngestion]",
        },
        rule: {
          type: 'string',
          value:
            "[reference(resourceId('Microsoft.Insights/dataCollectionRules', parameters('ruleName')), '2023-03-11').immutableId]",
        },
        stream: { type: 'string', value: stream },
      },
    },
  )
}

const ledgerTemplate = streamTemplate({
  table: 'CountersignLedger_CL',
  stream: 'Custom-CountersignLedger',
  columns: entryColumns,
  ruleName: 'countersign-ledger',
  sender: 'Countersign',
})

const findingsTemplate = streamTemplate({
  table: 'CountersignFindings_CL',
  stream: 'Custom-CountersignFindings',
  columns: findingColumns,
  ruleName: 'countersign-findings',
  sender: 'whoever keeps watch',
})

/** What the workbook shows, in order. */
const views = [
  { query: 'open-findings', title: 'What reconcile has found' },
  { query: 'unexplained-signatures', title: 'Signatures that no entry accounts for' },
  { query: 'key-exposure', title: 'What could put the key into other hands' },
  { query: 'ledger-gaps', title: 'Entries that are missing here, or were written anew' },
  { query: 'export-silence', title: 'Deployments that have gone silent' },
  { query: 'key-use', title: 'Who used the key, and for what' },
  { query: 'still-valid', title: 'Tokens and assertions that still live' },
] as const

const noneFound = 'Nothing found.'

async function workbook(): Promise<object> {
  const items = await Promise.all(
    views.map(async ({ query, title }) => ({
      type: 3,
      name: query,
      content: {
        version: 'KqlItem/1.0',
        query: await queryOf(query),
        size: 0,
        title,
        noDataMessage: noneFound,
        noDataMessageStyle: 3,
        queryType: 0,
        resourceType: 'microsoft.operationalinsights/workspaces',
        visualization: 'table',
        showExportToExcel: true,
      },
    })),
  )
  const heading = {
    type: 1,
    name: 'heading',
    content: {
      json: '## Countersign\nFrom the ledger as it was exported, and from the audit log of the vaults. `countersign reconcile` and `countersign ledger verify` say more, and with proof.',
    },
  }
  return { version: 'Notebook/1.0', items: [heading, ...items], fallbackResourceIds: [] }
}

const workbookTemplate = async () =>
  template(
    { workspace: workspaceParameter, location },
    {
      variables: { workbook: await workbook() },
      resources: [
        {
          type: 'Microsoft.Insights/workbooks',
          apiVersion: '2022-04-01',
          name: "[guid(resourceGroup().id, parameters('workspace'), 'countersign')]",
          location: "[parameters('location')]",
          kind: 'shared',
          properties: {
            displayName: 'Countersign',
            category: 'sentinel',
            version: '1.0',
            sourceId: workspaceId,
            serializedData: "[string(variables('workbook'))]",
          },
        },
      ],
    },
  )

/** The settings of the query, which parameters of the template take the place of. */
const settings = ['keys', 'principals', 'addresses'] as const

/** The table that the query begins with. */
const vaultLog = 'AZKVAuditLogs'

const minutesApart = 15

/**
 * A row may show so much later than its `ingestion_time()` says, as `log-table.ts` takes it. Then it is in several runs,
 * and alerts in each: nothing of Sentinel tells rows that alerted from others, and suppression would keep back those too.
 */
const minutesOfOverlap = 60

/** Whatever time a row is of: the period is longer than most are late. */
const cameSinceTheLastRun = `| where ingestion_time() > ago(${minutesApart + minutesOfOverlap}m)`

const sentinelTemplate = async () => {
  const lines = (await queryOf('sign-unexplained')).split('\n')
  const isSetting = (line: string) => settings.some((name) => line.startsWith(`let ${name} = `))
  const body = lines
    .filter((line) => !isSetting(line))
    .flatMap((line) => (line === vaultLog ? [line, cameSinceTheLastRun] : [line]))
    .join('\n')
  const lets = settings.map(
    (name) => `'let ${name} = dynamic(', string(parameters('${name}')), ');', variables('newline')`,
  )
  const list = (description: string, more = {}) => ({
    type: 'array',
    metadata: { description },
    ...more,
  })
  return template(
    {
      workspace: text('Name of the Log Analytics workspace with Microsoft Sentinel.'),
      keys: list('Keys that only Countersign may use: https://VAULT/keys/NAME, without a version.'),
      principals: list('Object ids of the identities of Countersign.'),
      addresses: list('Networks that Countersign signs from (CIDR); empty: any.', {
        defaultValue: [],
      }),
    },
    {
      variables: { newline: '\n', body },
      resources: [
        {
          type: 'Microsoft.OperationalInsights/workspaces/providers/alertRules',
          apiVersion: '2023-02-01',
          name: "[concat(parameters('workspace'), '/Microsoft.SecurityInsights/', guid(parameters('workspace'), 'countersign', 'sign.unexplained'))]",
          kind: 'Scheduled',
          properties: {
            displayName: 'A signing key of Countersign was used by somebody else',
            description:
              'The audit log of the vault has a KeySign that is not by the identity, from the networks, or by the program that the key is for: sign.unexplained.',
            severity: 'High',
            enabled: true,
            query: `[concat(${lets.join(', ')}, variables('body'))]`,
            queryFrequency: `PT${minutesApart}M`,
            // By the time of the record. Sentinel lets no rule that runs oftener than every hour look back for two days.
            queryPeriod: 'P1D',
            triggerOperator: 'GreaterThan',
            triggerThreshold: 0,
            suppressionDuration: 'PT1H',
            suppressionEnabled: false,
            tactics: ['CredentialAccess', 'DefenseEvasion'],
            techniques: ['T1552', 'T1550'],
            eventGroupingSettings: { aggregationKind: 'AlertPerResult' },
            entityMappings: [
              {
                entityType: 'Account',
                fieldMappings: [{ identifier: 'AadUserId', columnName: 'ObjectId' }],
              },
              {
                entityType: 'IP',
                fieldMappings: [{ identifier: 'Address', columnName: 'CallerIpAddress' }],
              },
              {
                entityType: 'AzureResource',
                fieldMappings: [{ identifier: 'ResourceId', columnName: '_ResourceId' }],
              },
            ],
            customDetails: {
              key: 'Key',
              why: 'Why',
              signatures: 'Signatures',
              requests: 'Requests',
            },
            incidentConfiguration: {
              createIncident: true,
              groupingConfiguration: {
                enabled: true,
                reopenClosedIncident: false,
                lookbackDuration: 'PT5H',
                matchingMethod: 'AllEntities',
              },
            },
          },
        },
      ],
    },
  )
}

/** A query as it stands in its file. */
export const queryOf = async (name: string): Promise<string> =>
  (await readFile(join(root, folder, 'queries', `${name}.kql`), 'utf8')).trimEnd()

/** Path from the root of the repository, and the text that belongs there. */
export async function azureMonitorFiles(): Promise<readonly { path: string; text: string }[]> {
  const style = await resolveConfig(join(root, 'package.json'))
  const files = [
    ['ledger.json', ledgerTemplate],
    ['findings.json', findingsTemplate],
    ['workbook.json', await workbookTemplate()],
    ['sentinel-rule.json', await sentinelTemplate()],
  ] as const
  return Promise.all(
    files.map(async ([name, value]) => ({
      path: `${folder}/${name}`,
      text: await format(JSON.stringify(value), { ...style, parser: 'json' }),
    })),
  )
}

if (import.meta.main) {
  for (const file of await azureMonitorFiles()) {
    await writeFile(join(root, file.path), file.text)
    console.log(file.path)
  }
}
