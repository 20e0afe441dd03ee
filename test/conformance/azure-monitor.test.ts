import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { azureMonitorFiles } from '../../scripts/write-azure-monitor.ts'
import { entryColumns } from '../../src/custody/entry-row.ts'
import { type JudgeQuery, loadKusto } from '../support/kusto.ts'

/**
 * What deploy/azure-monitor holds, judged by Kusto's own language service with the tables that it is for. It is
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
const kustoNames: Readonly<Record<string, string>> = { boolean: 'bool' }
const ledger = Object.fromEntries(
  Object.entries(entryColumns).map(([name, type]) => [name, kustoNames[type] ?? type]),
)

const queries = globSync('deploy/azure-monitor/queries/*.kql').map((file) => ({
  name: basename(file, '.kql'),
  query: readFileSync(file, 'utf8'),
}))

/** The language service is 4 MB of script that builds its tables first. */
const patienceMs = 240_000
let judge: JudgeQuery
beforeAll(() => {
  judge = loadKusto({ AZKVAuditLogs: vaultLog, CountersignLedger_CL: ledger })
}, patienceMs)

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
  readonly resources: readonly { readonly properties: { readonly query: string } }[]
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
