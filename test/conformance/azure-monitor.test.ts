import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { azureMonitorFiles } from '../../scripts/write-azure-monitor.ts'
import { entryColumns } from '../../src/custody/entry-row.ts'
import { findingColumns } from '../../src/custody/finding-row.ts'
import {
  arrivalsQuery,
  newestQuery,
  oldestQuery,
  rowsQuery,
  type WorkspaceTable,
} from '../../src/reconcile/workspace/workspace-query.ts'
import { type JudgeQuery, loadKusto } from '../support/kusto.ts'
import { required } from '../support/required.ts'

/**
 * What deploy/azure-monitor holds, and what reconcile asks, judged by Kusto's own language service with the tables that it is for. It is
 * parsed and its names and types are looked up; nothing here runs it.
 */

/** As Microsoft's table reference has it, without what no query here looks at. */
const vaultLog = {
  TimeGenerated: 'datetime',
  OperationName: 'string',
  ResultType: 'string',
  ResultSignature: 'string',
  HttpStatusCode: 'int',
  CallerIpAddress: 'string',
  CorrelationId: 'string',
  ClientInfo: 'string',
  RequestUri: 'string',
  Id: 'string',
  Identity: 'dynamic',
  Algorithm: 'string',
  _ResourceId: 'string',
}
/** The others that reconcile reads, as far as its queries name columns. */
const otherLogs = {
  AzureDiagnostics: { TimeGenerated: 'datetime', ResourceProvider: 'string', Category: 'string' },
  AADServicePrincipalSignInLogs: { TimeGenerated: 'datetime' },
  AuditLogs: { TimeGenerated: 'datetime' },
}
const kustoNames: Readonly<Record<string, string>> = { boolean: 'bool' }
const tableOf = (columns: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, kustoNames[type] ?? type]),
  )

const queries = globSync('deploy/azure-monitor/queries/*.kql').map((file) => ({
  name: basename(file, '.kql'),
  query: readFileSync(file, 'utf8'),
}))

/** The language service is 4 MB of script that builds its tables first. */
const patienceMs = 240_000
let judge: JudgeQuery
beforeAll(() => {
  judge = loadKusto({
    AZKVAuditLogs: vaultLog,
    ...otherLogs,
    CountersignLedger_CL: tableOf(entryColumns),
    CountersignFindings_CL: tableOf(findingColumns),
  })
}, patienceMs)

describe('what is asked of a workspace', () => {
  const window = { fromMs: 1_795_327_200_000, toMs: 1_795_327_200_001 }
  const tables = [
    'AZKVAuditLogs',
    ...Object.keys(otherLogs),
    'CountersignLedger_CL',
  ] as readonly WorkspaceTable[]

  test.each(tables)(
    'of %s parses, and names nothing that is not there',
    { timeout: patienceMs },
    (table) => {
      expect(judge(rowsQuery(table, window, 10))).toEqual([])
      expect(judge(oldestQuery(table))).toEqual([])
      expect(judge(newestQuery(table))).toEqual([])
      expect(judge(arrivalsQuery(table, window.fromMs))).toEqual([])
    },
  )
})

describe('queries', () => {
  test.each(queries)(
    '$name parses, and names nothing that is not there',
    { timeout: patienceMs },
    ({ query }) => {
      expect(judge(query)).toEqual([])
    },
  )

  test('are judged: what is wrong is found', { timeout: patienceMs }, () => {
    expect(judge('CountersignLedger_CL | where Kind = "a"')).not.toEqual([])
    expect(judge('CountersignLedger_CL | project Colour')).not.toEqual([])
    expect(judge('AZKVAuditLogs | extend a = HttpStatusCode + "x" | wher a')).not.toEqual([])
    expect(judge('SigninLogs | take 1')).not.toEqual([])
    expect(queries.length).toBeGreaterThan(6)
  })

  test('the one of the analytic rule needs the log of the vault alone', () => {
    const rule = queries.find(({ name }) => name === 'sign-unexplained')
    expect(rule?.query).not.toContain('CountersignLedger_CL')
    expect(rule?.query).toContain('AZKVAuditLogs')
  })
})

test.each(await azureMonitorFiles())(
  '$path is what columns and queries say: run npm run azure-monitor',
  ({ path, text }) => {
    expect(readFileSync(path, 'utf8')).toBe(text)
  },
)

interface Template {
  readonly parameters: Readonly<Record<string, { readonly defaultValue?: unknown }>>
  readonly variables: { readonly body: string; readonly workbook: Workbook }
  readonly resources: readonly {
    readonly properties: {
      readonly query: string
      readonly queryFrequency: string
      readonly queryPeriod: string
    }
  }[]
}

interface Workbook {
  readonly items: readonly { readonly content: { readonly query?: string } }[]
}

const templateIn = (file: string) =>
  JSON.parse(readFileSync(`deploy/azure-monitor/${file}`, 'utf8')) as Template

describe('templates', () => {
  test(
    'the analytic rule is a query when its parameters are in place',
    { timeout: patienceMs },
    () => {
      const { variables, resources, parameters } = templateIn('sentinel-rule.json')
      const lists: Readonly<Record<string, readonly string[]>> = {
        keys: ['https://contoso-hsm.vault.azure.net/keys/partner-signing'],
        principals: ['51000000-0000-4000-8000-000000000001'],
        addresses: ['203.0.113.0/24'],
      }
      expect(Object.keys(parameters)).toEqual(expect.arrayContaining(Object.keys(lists)))
      const lets = Object.entries(lists).map(
        ([name, values]) => `let ${name} = dynamic(${JSON.stringify(values)});\n`,
      )
      const query = lets.join('') + variables.body
      expect(judge(query)).toEqual([])
      for (const name of Object.keys(lists)) {
        expect(resources[0]?.properties.query).toContain(`'let ${name} = dynamic('`)
      }
    },
  )

  test('the analytic rule sees each row that comes within a day, also one that shows an hour after it came', () => {
    const { variables, resources } = templateIn('sentinel-rule.json')
    const { queryFrequency, queryPeriod } = required(resources[0]).properties
    expect({ queryFrequency, queryPeriod }).toEqual({ queryFrequency: 'PT15M', queryPeriod: 'P1D' })
    expect(variables.body.match(/ingestion_time\(\) > ago\((\w+)\)/)?.[1]).toBe('75m')
    // It is seen several times then: what is the same becomes one incident.
    expect(required(resources[0]).properties).toMatchObject({
      suppressionEnabled: false,
      incidentConfiguration: {
        groupingConfiguration: {
          enabled: true,
          lookbackDuration: 'PT5H',
          matchingMethod: 'AllEntities',
        },
      },
    })
    // Nothing in it cuts by the time of the record again.
    expect(variables.body).not.toMatch(/where TimeGenerated/)
  })

  test('the workbook has every query but the one of the rule', () => {
    const shown = templateIn('workbook.json').variables.workbook.items.flatMap(
      ({ content }) => content.query ?? [],
    )
    const own = queries.filter(({ name }) => name !== 'sign-unexplained')
    expect(shown.toSorted()).toEqual(own.map(({ query }) => query.trimEnd()).toSorted())
  })

  test('no text of theirs is an expression of the template by accident', () => {
    for (const { query } of queries) expect(query.startsWith('[')).toBe(false)
  })
})

test('the rule takes our signer for ours, and nobody who only claims to be', () => {
  const [, pattern = ''] =
    /matches regex @"([^"]+)"/.exec(
      queries.find(({ name }) => name === 'sign-unexplained')?.query ?? '',
    ) ?? []
  const regex = new RegExp(pattern)
  expect(regex.test('countersign/0.1.0 (signature-nonce AAAAAAAAAAAAAAAAAAAAAA)')).toBe(true)
  for (const other of [
    '',
    'countersign/0.1.0',
    'curl/8 countersign/0.1.0 (signature-nonce AAAAAAAAAAAAAAAAAAAAAA)',
  ]) {
    expect(regex.test(other)).toBe(false)
  }
})

test.each([
  'https://contoso-hsm.vault.azure.net/keys/Partner-Signing/0a1b',
  'https://contoso-hsm.vault.azure.net/keys/partner-signing/0a1b/sign?api-version=2025-07-01',
  'https://contoso-hsm.vault.azure.net:8443/keys/partner-signing/sign?api-version=2025-07-01',
])('the rule knows the key of a request by its Id, or by its URL: %s', (text) => {
  const { query = '' } = queries.find(({ name }) => name === 'sign-unexplained') ?? {}
  const [line = ''] = /^\| extend Key = .*$/m.exec(query) ?? []
  // coalesce of Kusto passes over texts that are empty, as over those that are not there.
  expect(line).toContain('coalesce(Id, RequestUri)')
  const [key = '', port = ''] = [...line.matchAll(/@"([^"]+)"/g)].map(([, one = '']) => one)
  const [, found = ''] = new RegExp(key).exec(text) ?? []
  expect(found.replaceAll(new RegExp(port, 'g'), '/').toLowerCase()).toBe(
    'https://contoso-hsm.vault.azure.net/keys/partner-signing',
  )
})
