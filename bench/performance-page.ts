import { type Curve, readable } from './curve.ts'
import { formatted, type Row } from './table.ts'

export interface BenchResults {
  readonly version: string
  readonly machine: {
    readonly node: string
    readonly cpus: number
    readonly model?: string | undefined
  }
  readonly rows: readonly Row[]
  readonly curves: readonly Curve[]
}

/** Beside the page. */
export const chartFile = ({ name }: Curve) => `performance-${name}.svg`

/** `docs/performance.md`, written by the run whose figures it shows. */
export function performancePage({ version, machine, rows, curves }: BenchResults): string {
  const table = rows.map(
    ({ measure, bar = '', met, ...row }) =>
      `| ${measure} | ${formatted(row)} | ${bar} | ${met === undefined ? '' : met ? 'met' : '**missed**'} |`,
  )
  return `# Performance

Written by \`npm run bench\`, which measures the service beside its peers in one run: interleaved, several
rounds, medians. Machines differ, and load generator, emulator and service share the processors of this one,
so what counts are the ratios.

- The bare server is \`node:http\` that parses the body and answers bytes of the same length.
- Ours has everything on: caller proven, grant decided, entry durable in SQLite, metrics counted.
- "Express + jose + msal-node" is what a user would write instead, with the key in a file and no ledger.
- Our own time around the signer is the median of the whole answer less what the vault took on average, both measured one
  request at a time; two commits to the disk are in it, and a caller's token that is new for each.
- CPU of an assertion is compared with a server that does nothing but pass each request on to the vault, over
  the same pool and at the same rate: what is asked seldom costs more, because processors fall asleep between.
- Who a caller is and what it may have is found out in one process, without HTTP, fifty calls timed together.
- Tokens of many tenants and scopes are asked for in no order, with every other round on one of them; memory is
  the most that the kernel counted (\`VmHWM\`), filling the cache included.
- Start to ready is from the start of the process, with the emulator at hand and code compiled by an earlier start.
- While the vault is throttled, clients that are refused come back when they are told to, and count as served when they
  are within a minute. The p99 of warm tokens is the median over slices of five seconds, those of the minute against those
  of half a minute before it and half a minute after.
- Reconcile reads the vault's records from a file, and rows of a ledger that are made as they are read: the making is measured
  by itself and left out, and no proof is due, each of which costs one verification of RSA besides. A second thread checks the
  chain while rows are made, which no ledger gives it time for: the ledger is counted with what is left without the making,
  and never with less than checking its chain takes alone. A ledger in SQLite costs the reading of its rows besides, about
  as much as they cost to be made here. The bars are a tenth of those for ten million, which
  \`npm run bench:audit -- 10000000\` measures. Like the command, it finds its code compiled by an earlier start, and keeps the
  young part of its heap small.
- Ledger entries are appended one at a time by 256 concurrent requests and counted when they are synced to the
  disk; PostgreSQL is the real server on loopback, with its own settings. That is one process: what several replicas
  of one machine, which share its processors with the server, reach with everything on is among the curves.

Version ${version}, Node ${machine.node}, ${machine.cpus} × ${machine.model ?? 'unknown processor'}:

| Measure | Value | Bar | |
| --- | --- | --- | --- |
${table.join('\n')}

${missedSection(rows)}## How it changes with how many there are

Warm tokens under full load, on the same two processors. The processor time is that of the service alone, by the
kernel's count, and says more than rates do where others share the machine. What more replicas of one machine cost
each other, machines of their own do not.

${curves.map(sectionOf).join('\n')}
## Run it

\`npm run bench\` writes this page and its pictures. \`npm run bench -- --only warm,curves --rounds 1\` prints some of
it and writes nothing; \`--help\` names the parts and options. \`npm run soak -- --minutes 10\` loads the service with
short-lived tokens and faults for a while, and says whether anything grows.
`
}

/** Nothing where every bar is met. */
function missedSection(rows: readonly Row[]): string {
  const missed = rows.filter(({ met }) => met === false)
  if (missed.length === 0) return ''
  const lines = missed.map(
    ({ measure, limit = 'not looked into.' }) => `- **${measure}**: ${limit}`,
  )
  return `## What keeps it from the bars that are missed

${lines.join('\n')}

`
}

function sectionOf(curve: Curve): string {
  const { title, xTitle, xs, series } = curve
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const lines = xs.map((x, index) =>
    line([x, ...series.map(({ values }) => values[index] ?? Number.NaN)].map(readable)),
  )
  return `### ${title}

![${title}: ${series.map((one) => one.title).join('; ')}](${chartFile(curve)})

${line([xTitle, ...series.map((one) => one.title)])}
${line([xTitle, ...series].map(() => '---:'))}
${lines.join('\n')}
`
}
