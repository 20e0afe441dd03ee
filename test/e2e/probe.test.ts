import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

const program = join(import.meta.dirname, '../../bin/countersign.js')

let service: TestService
let folder: string

beforeAll(async () => {
  service = await startTestService()
  folder = mkdtempSync(join(tmpdir(), 'countersign-probe-'))
  writeFileSync(join(folder, 'workload.jwt'), await service.callerToken('fabrikam-orders'))
  writeFileSync(join(folder, 'pipeline.jwt'), await service.callerToken('github'))
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await service.stop()
})

const orders = {
  application: 'events',
  tenant: cast.fabrikam,
  scope: cast.orders,
  tokenFile: 'workload.jwt',
}
const deploy = {
  application: 'deploy',
  tenant: cast.fabrikam,
  assertion: {},
  tokenFile: 'pipeline.jwt',
}

async function probe(probes: object, ...args: readonly string[]) {
  writeFileSync(join(folder, 'probes.yaml'), JSON.stringify({ probes }))
  const all = ['probe', 'probes.yaml', '--url', service.origin, ...args]
  const child = spawn(process.execPath, [program, ...all], { cwd: folder })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

/** Something on loopback that answers everything in one way. */
async function answering(status: number, body: string) {
  const server = createServer((_, response) => response.writeHead(status).end(body))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

describe('countersign probe', () => {
  test('is satisfied when what must be granted is, and what must be refused is', async () => {
    const { out, error, code } = await probe({
      'orders-are-served': { expect: 'granted', ...orders },
      'pipelines-deploy': { expect: 'granted', ...deploy },
      'workloads-do-not-deploy': {
        expect: 'refused',
        code: 'not_granted',
        ...deploy,
        tokenFile: 'workload.jwt',
      },
    })
    expect(out).toBe(
      'SATISFIED: 3 of 3 probes.\n' +
        'satisfied orders-are-served: must be granted, and was granted\n' +
        'satisfied pipelines-deploy: must be granted, and was granted\n' +
        'satisfied workloads-do-not-deploy: must be refused, and was answered with 403 not_granted\n',
    )
    expect({ error, code }).toEqual({ error: '', code: 0 })
  })

  test('is violated when it is the other way round, and says so to Prometheus as well', async () => {
    const { out, code } = await probe(
      {
        'nobody-reads-orders': { expect: 'refused', ...orders },
        'workloads-deploy': { expect: 'granted', ...deploy, tokenFile: 'workload.jwt' },
      },
      '--metrics-file',
      'countersign.prom',
      '--json',
    )
    expect(JSON.parse(out)).toEqual({
      results: [
        { probe: 'nobody-reads-orders', expect: 'refused', result: 'violated', answer: 'granted' },
        {
          probe: 'workloads-deploy',
          expect: 'granted',
          result: 'violated',
          answer: 'answered with 403 not_granted',
        },
      ],
    })
    expect(code).toBe(1)
    const metrics = readFileSync(join(folder, 'countersign.prom'), 'utf8')
    expect(metrics).toContain(
      'countersign_probe{probe="nobody-reads-orders",expect="refused",result="violated"} 1\n',
    )
    expect(metrics).toMatch(/^countersign_probe_run_timestamp_seconds \d{10}$/m)
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test.for([
    ['that is busy', 503, '{"title":"Busy","detail":"Later.","code":"signing_busy"}'],
    ['in whose place a proxy wants a password', 401, 'Who are you?'],
    ['in whose place a page stands', 200, '<html></html>'],
  ] as const)('takes no word from a service %s', async ([, status, body]) => {
    const other = await answering(status, body)
    const { out, code } = await probe(
      { never: { expect: 'refused', ...orders } },
      ...['--url', other.url],
    )
    await other.close()
    expect(out).toMatch(
      /^UNDECIDED: 1 of 1 probes\.\nundecided never: must be refused, and was answered/,
    )
    expect(code).toBe(2)
  })

  test('is undecided without an answer or a token, and never prints what stands in its place', async () => {
    const gone = await answering(200, '')
    await gone.close()
    const away = await probe({ never: { expect: 'refused', ...orders } }, '--url', gone.url)
    expect(away.out).toContain(
      'undecided never: must be refused, and was not asked or not answered',
    )
    expect(away.code).toBe(2)
    const token = readFileSync(join(folder, 'workload.jwt'), 'utf8')
    const misplaced = await probe({ never: { expect: 'refused', ...orders, tokenFile: token } })
    expect(misplaced.out).toContain('its tokenFile cannot be read')
    expect(misplaced.code).toBe(2)
    expect(misplaced.out + misplaced.error).not.toContain(token.split('.')[1])
  })

  test.for([
    ['neither scope nor assertion', { scope: undefined }, 'probe.scope-or-assertion'],
    ['another expectation', { expect: 'allowed' }, 'one of granted, refused'],
    ['a code of what is granted', { code: 'not_granted' }, 'probe.code-of-granted'],
  ] as const)('asks nothing of a file with %s', async ([, some, message]) => {
    const { out, error, code } = await probe({ one: { expect: 'granted', ...orders, ...some } })
    expect(error).toContain(message)
    expect({ out, code }).toEqual({ out: '', code: 2 })
  })

  test('asks nothing when the file is not there', async () => {
    const child = spawn(process.execPath, [program, 'probe', 'none.yaml', '--url', service.origin])
    const exited = new Promise((resolve) => child.once('exit', resolve))
    expect(await text(child.stderr)).toContain('none.yaml:1: probes.unreadable: ')
    expect(await exited).toBe(2)
  })

  test('is not satisfied by no probe, or with metrics that cannot be written', async () => {
    expect(await probe({})).toMatchObject({ out: '', code: 2 })
    const one = { one: { expect: 'granted', ...orders } }
    const { out, error, code } = await probe(one, '--metrics-file', 'none/countersign.prom')
    expect(out).toMatch(/^SATISFIED/)
    expect(error).toContain('the metrics cannot be written to none/countersign.prom (ENOENT)')
    expect(code).toBe(2)
  })
})

test('countersign probe never puts its metrics in the place of a device or a pipe', async () => {
  expect(spawnSync('mkfifo', [join(folder, 'pipe')]).status).toBe(0)
  const one = { one: { expect: 'granted', ...orders } }
  const { error, code } = await probe(one, '--metrics-file', 'pipe')
  expect(error).toContain('the metrics cannot be written to pipe: it is not an ordinary file')
  expect(code).toBe(2)
  expect(lstatSync(join(folder, 'pipe')).isFIFO()).toBe(true)
})

describe('countersign probe --every', () => {
  const granted = { status: 200, body: '{"access_token":"a"}' }
  const refused = { status: 403, body: '{"title":"No","detail":"No.","code":"not_granted"}' }

  test('says what has changed and nothing else, tells Prometheus each time, and ends on SIGTERM', async () => {
    let [answer, asked] = [granted, 0]
    const server = createServer((_, response) => {
      asked += 1
      response.writeHead(answer.status).end(answer.body)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const probes = { 'orders-are-served': { expect: 'granted', ...orders } }
    writeFileSync(join(folder, 'every.yaml'), JSON.stringify({ probes }))
    const metrics = join(folder, 'every.prom')
    const child = spawn(
      process.execPath,
      [program, 'probe', 'every.yaml', '--every', '1s', '--url', url, '--metrics-file', metrics],
      { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const ended = once(child, 'exit')
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    try {
      await expect.poll(() => asked).toBeGreaterThanOrEqual(3)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(
        /^\S+Z satisfied orders-are-served: must be granted, and was granted$/,
      )
      answer = refused
      await expect.poll(() => lines.length).toBe(2)
      expect(lines[1]).toMatch(/Z violated {2}orders-are-served: .* answered with 403 not_granted$/)
      await expect
        .poll(() => readFileSync(metrics, 'utf8'))
        .toContain('expect="granted",result="violated"} 1\n')
      answer = granted
      await expect.poll(() => lines.length).toBe(3)
      child.kill('SIGTERM')
      expect(await ended).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
      server.close()
    }
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  }, 120_000)

  test.each(['5', '0s', '25h'])('is refused with the period %s', async (period) => {
    const one = { one: { expect: 'granted', ...orders } }
    const { out, error, code } = await probe(one, '--every', period)
    expect(error).toContain('a period such as 30s, 5m or 1h')
    expect({ out, code }).toEqual({ out: '', code: 2 })
  })
})
