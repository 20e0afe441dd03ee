import { parseArgs } from 'node:util'

/** What a run measures, and how long it takes. */
export interface BenchPlan {
  /** In the order of {@link partNames}. */
  readonly parts: readonly PartName[]
  readonly rounds: number
  readonly durationMs: number
  readonly tenants: number
  /** Of each tenant. */
  readonly scopes: number
  /** Of the cold bursts. */
  readonly callers: number
  /** The most that are cached in the curve of cached tokens. */
  readonly curveTokens: number
}

export const partNames = [
  'start',
  'cold',
  'fleet',
  'warm',
  'tokens',
  'assertion',
  'decision',
  'ledger',
  'audit',
  'curves',
  'throttled',
] as const

export type PartName = (typeof partNames)[number]

export const usage = `npm run bench -- [--only PART,…] [--rounds N] [--seconds N] [--tenants N] [--scopes N]
                 [--callers N] [--curve-tokens N]

  --only PART,…      ${partNames.join(', ')}; then nothing is written
  --rounds N         of each measurement, of which the median counts (5)
  --seconds N        of each load (3)
  --tenants N        that there are (1000)
  --scopes N         of each tenant: so many times more tokens are cached in "tokens" (100)
  --callers N        of the cold bursts (10000)
  --curve-tokens N   up to so many cached tokens in "curves": 1000, 10000 or 100000 (1000)`

/** @returns Undefined when there is an argument that is not in {@link usage}. */
export function parsePlan(args: readonly string[]): BenchPlan | undefined {
  const values = valuesIn(args)
  if (values === undefined) return undefined
  const [rounds, seconds, tenants, scopes, callers, curveTokens] = [
    values.rounds,
    values.seconds,
    values.tenants,
    values.scopes,
    values.callers,
    values['curve-tokens'],
  ].map(parseCount)
  const parts = values.only === undefined ? partNames : parseParts(values.only)
  if (parts === undefined || rounds === undefined || seconds === undefined) return undefined
  if (tenants === undefined || scopes === undefined) return undefined
  if (callers === undefined || curveTokens === undefined) return undefined
  if (curveTokens > tenants * scopes) return undefined
  return { parts, rounds, durationMs: seconds * 1000, tenants, scopes, callers, curveTokens }
}

/** Whether it measures everything: only then is it worth keeping. */
export const isWhole = ({ parts }: BenchPlan) => parts.length === partNames.length

function valuesIn(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '3' },
        tenants: { type: 'string', default: '1000' },
        scopes: { type: 'string', default: '100' },
        callers: { type: 'string', default: '10000' },
        'curve-tokens': { type: 'string', default: '1000' },
      },
    }).values
  } catch {
    return undefined
  }
}

const parseCount = (written: string): number | undefined =>
  /^[1-9]\d{0,6}$/.test(written) ? Number(written) : undefined

function parseParts(written: string): readonly PartName[] | undefined {
  const asked = new Set(written.split(','))
  const known = partNames.filter((name) => asked.has(name))
  return known.length === asked.size ? known : undefined
}
