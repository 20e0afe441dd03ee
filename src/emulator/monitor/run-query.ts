import { isoFromMs, msFromIso } from '../emulator-clock.ts'
import {
  type Comparison,
  type Condition,
  type Expression,
  KustoSyntaxError,
  type Named,
  type Operator,
} from './kusto-query.ts'
import { KustoTime, type TableRow, valueIn } from './workspace-tables.ts'

/** What a query names and its table does not have. */
export class KustoSemanticError extends Error {
  override readonly name = 'KustoSemanticError'
}

/** Rows on their way through the operators. */
export interface Result {
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
}

interface Row {
  readonly values: Readonly<Record<string, unknown>>
  /** Undefined behind an operator that makes rows of its own. */
  readonly ingestedMs: number | undefined
}

/** Some rows of a table, each with the columns that any row of it has. */
export function someOf(all: readonly TableRow[], some: readonly TableRow[]): Result {
  const columns = [...new Set(all.flatMap(({ cells }) => Object.keys(cells)))]
  return {
    columns,
    rows: some.map((row) => ({
      values: Object.fromEntries(columns.map((column) => [column, valueIn(row, column)])),
      ingestedMs: row.ingestedMs,
    })),
  }
}

/** @throws KustoSyntaxError | KustoSemanticError */
export function applied(operator: Operator, result: Result): Result {
  const { columns, rows } = result
  check(operator, columns)
  switch (operator.kind) {
    case 'where':
      return { columns, rows: rows.filter((row) => holdsAll(operator.conditions, row)) }
    case 'take':
      return { columns, rows: rows.slice(0, operator.rows) }
    case 'project':
      return shaped(operator.columns, result)
    case 'extend': {
      const added = operator.columns.map(({ name }) => name)
      const kept = columns.filter((name) => !added.includes(name))
      const all = [...kept.map((name) => named(name)), ...operator.columns]
      return shaped(all, result)
    }
    case 'summarize':
      return summarized(operator.aggregates, operator.by, result)
  }
}

const named = (name: string): Named => ({ name, value: { kind: 'column', name } })

const shaped = (wanted: readonly Named[], { rows }: Result): Result => ({
  columns: wanted.map(({ name }) => name),
  rows: rows.map((row) => ({
    values: Object.fromEntries(wanted.map(({ name, value }) => [name, valueOf(value, row)])),
    ingestedMs: row.ingestedMs,
  })),
})

const holdsAll = (conditions: readonly Condition[], row: Row) =>
  conditions.every(({ left, comparison, right }) =>
    holds(comparison, valueOf(left, row), valueOf(right, row)),
  )

/** What is compared with null holds for nothing. */
function holds(comparison: Comparison, left: unknown, right: unknown): boolean {
  if (left instanceof KustoTime && right instanceof KustoTime) {
    return holdsOf(comparison, left.ms, right.ms)
  }
  const areTexts = typeof left === 'string' && typeof right === 'string'
  const areNumbers = typeof left === 'number' && typeof right === 'number'
  if (left === null || right === null) return false
  if (areTexts && comparison === '==') return left === right
  if (areNumbers) return holdsOf(comparison, left, right)
  throw new KustoSyntaxError(`'${comparison}' compares values of other types here`)
}

function holdsOf(comparison: Comparison, left: number, right: number): boolean {
  switch (comparison) {
    case '==':
      return left === right
    case '>':
      return left > right
    case '>=':
      return left >= right
    case '<':
      return left < right
    case '<=':
      return left <= right
  }
}

function valueOf(expression: Expression, row: Row): unknown {
  switch (expression.kind) {
    case 'text':
      return expression.text
    case 'number':
      return expression.value
    case 'timespan':
      return expression.ms
    case 'datetime':
      return timeFrom(expression.text)
    case 'column':
      return row.values[expression.name] ?? null
    case 'call':
      return callOf(expression.name, expression.arguments, row)
  }
}

function timeFrom(text: string): KustoTime {
  const ms = msFromIso(text)
  if (ms === undefined) throw new KustoSyntaxError(`datetime(${text}) is no time`)
  return new KustoTime(ms, text)
}

const timeOf = (ms: number) => new KustoTime(ms, isoFromMs(ms))

function callOf(name: string, given: readonly Expression[], row: Row): unknown {
  const [first, second] = given.map((one) => valueOf(one, row))
  switch (name) {
    case 'ingestion_time':
      return row.ingestedMs === undefined ? null : timeOf(row.ingestedMs)
    case 'tostring':
      return textOf(first)
    case 'bin':
      if (!(first instanceof KustoTime) || typeof second !== 'number') break
      return timeOf(Math.floor(first.ms / second) * second)
  }
  throw new KustoSyntaxError(`${name}(…) of such values is not understood here`)
}

function textOf(value: unknown): string {
  if (value instanceof KustoTime) return value.text
  if (typeof value === 'string') return value
  return value === null || value === undefined ? '' : JSON.stringify(value)
}

function summarized(aggregates: readonly Named[], by: readonly Named[], { rows }: Result): Result {
  const groups = Map.groupBy(rows, (row) =>
    JSON.stringify(by.map(({ value }) => textOf(valueOf(value, row)))),
  )
  const all = by.length === 0 ? [rows] : [...groups.values()]
  return {
    columns: [...by, ...aggregates].map(({ name }) => name),
    rows: all.map((group) => ({
      values: Object.fromEntries([
        ...by.map(({ name, value }) => [name, group[0] && valueOf(value, group[0])] as const),
        ...aggregates.map(({ name, value }) => [name, aggregateOf(value, group)] as const),
      ]),
      ingestedMs: undefined,
    })),
  }
}

function aggregateOf(expression: Expression, group: readonly Row[]): unknown {
  if (expression.kind !== 'call') throw new KustoSyntaxError(aggregatesRule)
  if (expression.name === 'count') return group.length
  const [argument] = expression.arguments
  if (argument === undefined) throw new KustoSyntaxError(aggregatesRule)
  const times = group
    .map((row) => valueOf(argument, row))
    .filter((value) => value instanceof KustoTime)
    .toSorted((one, other) => one.ms - other.ms || (one.text < other.text ? -1 : 1))
  return times.at(expression.name === 'min' ? 0 : -1) ?? null
}

const aggregatesRule = 'what is summarized is a count(), or min(…) or max(…) of times'
const aggregateNames = ['count', 'min', 'max']
const functionNames = ['ingestion_time', 'tostring', 'bin']

/** Before any row is looked at, as Kusto does: a query is not right because there is nothing to find. */
function check(operator: Operator, columns: readonly string[]): void {
  switch (operator.kind) {
    case 'where':
      for (const { left, right } of operator.conditions) {
        checkExpression(left, columns, functionNames)
        checkExpression(right, columns, functionNames)
      }
      return
    case 'project':
    case 'extend':
      for (const { value } of operator.columns) checkExpression(value, columns, functionNames)
      return
    case 'summarize':
      for (const { value } of operator.by) checkExpression(value, columns, functionNames)
      for (const { value } of operator.aggregates) checkExpression(value, columns, aggregateNames)
      return
    case 'take':
  }
}

function checkExpression(
  expression: Expression,
  columns: readonly string[],
  functions: readonly string[],
): void {
  if (expression.kind === 'column' && !columns.includes(expression.name)) {
    throw new KustoSemanticError(
      `Failed to resolve column or scalar expression named '${expression.name}'`,
    )
  }
  if (expression.kind !== 'call') return
  if (!functions.includes(expression.name)) {
    throw new KustoSyntaxError(`the function '${expression.name}' is not understood here`)
  }
  for (const argument of expression.arguments) checkExpression(argument, columns, functionNames)
}
