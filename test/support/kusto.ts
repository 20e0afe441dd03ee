import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import vm from 'node:vm'

/** What the language service of Kusto finds wrong with a query; nothing when it could be run. */
export type JudgeQuery = (query: string) => readonly string[]

/** Tables by name, each with its columns and their types. */
export type KustoTables = Readonly<Record<string, Readonly<Record<string, string>>>>

/** The parts of it that are used; it is C#, compiled to scripts for browsers. */
interface KustoScripts {
  readonly Kusto: {
    readonly Language: {
      readonly GlobalState: { readonly Default: { WithDatabase(database: object): object } }
      readonly KustoCode: {
        ParseAndAnalyze(text: string, globals: object): { GetDiagnostics(): Diagnostics }
      }
      readonly Symbols: {
        readonly Symbol: object
        readonly TableSymbol: {
          readonly $ctor7: new (name: string, schema: string, about: null) => object
        }
        readonly DatabaseSymbol: {
          readonly $ctor3: new (
            name: string,
            other: null,
            tables: object,
            isOpen: boolean,
          ) => object
        }
      }
    }
  }
  readonly System: { readonly Array: { init(items: readonly object[], type: object): object } }
}

interface Diagnostics {
  readonly Count: number
  getItem(index: number): { readonly Severity: string; readonly Message: string }
}

/** Names and types are looked at too, against these tables and no others. Takes seconds. */
export function loadKusto(tables: KustoTables): JudgeQuery {
  const { Kusto, System } = runScripts()
  const { Symbols, GlobalState, KustoCode } = Kusto.Language
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}:${type}`)
    return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(', ')})`, null)
  })
  const members = System.Array.init(symbols, Symbols.Symbol)
  const globals = GlobalState.Default.WithDatabase(
    new Symbols.DatabaseSymbol.$ctor3('workspace', null, members, false),
  )
  return (query) => {
    const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics()
    return Array.from({ length: found.Count }, (_, index) => found.getItem(index).Message)
  }
}

function runScripts(): KustoScripts {
  const main = createRequire(import.meta.url).resolve('@kusto/language-service-next')
  const context = vm.createContext({})
  for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js']) {
    vm.runInContext(readFileSync(join(dirname(main), file), 'utf8'), context, { filename: file })
  }
  return context as unknown as KustoScripts
}
