/**
 * The part of the Kusto Query Language that readers of logs need: one table, and operators that filter, count and
 * shape its rows. Anything else is refused, so that nobody takes this for an engine.
 */

export interface KustoQuery {
  readonly table: string
  readonly operators: readonly Operator[]
}

export type Operator =
  | { readonly kind: 'where'; readonly conditions: readonly Condition[] }
  | { readonly kind: 'extend'; readonly columns: readonly Named[] }
  | { readonly kind: 'project'; readonly columns: readonly Named[] }
  | { readonly kind: 'take'; readonly rows: number }
  | {
      readonly kind: 'summarize'
      readonly aggregates: readonly Named[]
      readonly by: readonly Named[]
    }

export interface Condition {
  readonly left: Expression
  readonly comparison: Comparison
  readonly right: Expression
}

export type Comparison = '==' | '>' | '>=' | '<' | '<='

export interface Named {
  readonly name: string
  readonly value: Expression
}

export type Expression =
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'datetime'; readonly text: string }
  /** Such as `1m`. */
  | { readonly kind: 'timespan'; readonly ms: number }
  | { readonly kind: 'call'; readonly name: string; readonly arguments: readonly Expression[] }

/** Where a query is none that is understood here. */
export class KustoSyntaxError extends Error {
  override readonly name = 'KustoSyntaxError'
}

/** @throws KustoSyntaxError */
export function parseKusto(text: string): KustoQuery {
  const tokens = new Tokens(text)
  const table = tokens.name()
  const operators: Operator[] = []
  while (tokens.takes('|')) operators.push(operatorFrom(tokens))
  tokens.end()
  return { table, operators }
}

function operatorFrom(tokens: Tokens): Operator {
  const kind = tokens.name()
  switch (kind) {
    case 'where':
      return { kind, conditions: separated(tokens, 'and', conditionFrom) }
    case 'extend':
    case 'project':
      return { kind, columns: separated(tokens, ',', namedFrom) }
    case 'take':
      return { kind, rows: tokens.wholeNumber() }
    case 'summarize': {
      const aggregates = separated(tokens, ',', namedFrom)
      return { kind, aggregates, by: tokens.takes('by') ? separated(tokens, ',', namedFrom) : [] }
    }
    default:
      throw new KustoSyntaxError(`the operator '${kind}' is not understood here`)
  }
}

function separated<Item>(tokens: Tokens, separator: string, item: (tokens: Tokens) => Item) {
  const items = [item(tokens)]
  while (tokens.takes(separator)) items.push(item(tokens))
  return items
}

function conditionFrom(tokens: Tokens): Condition {
  const left = expressionFrom(tokens)
  const comparison = comparisons.find((one) => tokens.takes(one))
  if (comparison === undefined) throw new KustoSyntaxError('a condition compares two values')
  return { left, comparison, right: expressionFrom(tokens) }
}

const comparisons = ['==', '>=', '<=', '>', '<'] as const satisfies readonly Comparison[]

/** A column by itself has its own name. */
function namedFrom(tokens: Tokens): Named {
  const value = expressionFrom(tokens)
  if (value.kind !== 'column') throw new KustoSyntaxError('a value needs a name: NAME = VALUE')
  return { name: value.name, value: tokens.takes('=') ? expressionFrom(tokens) : value }
}

function expressionFrom(tokens: Tokens): Expression {
  const literal = tokens.literal()
  if (literal !== undefined) return literal
  const name = tokens.name()
  if (!tokens.takes('(')) return { kind: 'column', name }
  if (tokens.takes(')')) return { kind: 'call', name, arguments: [] }
  const all = separated(tokens, ',', expressionFrom)
  if (!tokens.takes(')')) throw new KustoSyntaxError(`')' is missing behind ${name}(`)
  return { kind: 'call', name, arguments: all }
}

const tokenForm =
  /\s*(?:(datetime\([^()]*\))|("[^"\\]*")|(\d+[smhd])(?!\w)|(\d+)(?!\w)|([A-Za-z_]\w*)|(==|>=|<=|[|,()=<>]))/y

const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

interface Token {
  readonly kind: 'datetime' | 'text' | 'timespan' | 'number' | 'name' | 'sign'
  readonly text: string
}

const kinds = ['datetime', 'text', 'timespan', 'number', 'name', 'sign'] as const

class Tokens {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(text: string) {
    this.#tokens = tokensOf(text)
  }

  takes(text: string): boolean {
    const token = this.#tokens[this.#at]
    const isIt = token?.text === text && (token.kind === 'sign' || token.kind === 'name')
    if (isIt) this.#at += 1
    return isIt
  }

  name(): string {
    return this.#take('name').text
  }

  wholeNumber(): number {
    return Number(this.#take('number').text)
  }

  literal(): Expression | undefined {
    const token = this.#tokens[this.#at]
    const literal = token && literalFrom(token)
    if (literal !== undefined) this.#at += 1
    return literal
  }

  end(): void {
    const token = this.#tokens[this.#at]
    if (token !== undefined) throw new KustoSyntaxError(`'${token.text}' is not expected`)
  }

  #take(kind: Token['kind']): Token {
    const token = this.#tokens[this.#at]
    if (token?.kind !== kind) {
      throw new KustoSyntaxError(`a ${kind} is expected instead of '${token?.text ?? 'the end'}'`)
    }
    this.#at += 1
    return token
  }
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = []
  const whole = text.trimEnd()
  for (tokenForm.lastIndex = 0; tokenForm.lastIndex < whole.length;) {
    const at = tokenForm.lastIndex
    const found = tokenForm.exec(whole)
    if (found === null)
      throw new KustoSyntaxError(`what follows is not understood: ${whole.slice(at, at + 20)}`)
    for (const [index, kind] of kinds.entries()) {
      const part = found[index + 1]
      if (part !== undefined) tokens.push({ kind, text: part })
    }
  }
  return tokens
}

function literalFrom({ kind, text }: Token): Expression | undefined {
  switch (kind) {
    case 'datetime':
      return { kind, text: text.slice('datetime('.length, -1) }
    case 'text':
      return { kind, text: text.slice(1, -1) }
    case 'timespan':
      return { kind, ms: Number(text.slice(0, -1)) * (unitsMs[text.slice(-1)] ?? 0) }
    case 'number':
      return { kind, value: Number(text) }
    case 'name':
    case 'sign':
      return undefined
  }
}
