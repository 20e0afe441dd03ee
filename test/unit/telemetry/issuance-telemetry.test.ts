import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createDependencyWatch } from '../../../src/base/dependency-watch.ts'
import type { Gauges } from '../../../src/telemetry/gauges.ts'
import { createIssuanceTelemetry } from '../../../src/telemetry/issuance-telemetry.ts'
import { createCommitSeconds, createMetrics } from '../../../src/telemetry/metrics.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { gaugesAtRest } from '../../support/gauges.ts'

function newTelemetry() {
  const lines: string[] = []
  const clock = fixedClock(1_000_000)
  const gauges: Gauges = {
    ...gaugesAtRest,
    certificates: () => [
      {
        certificate: 'partners',
        place: 'standby',
        notAfterSeconds: 2_000_000,
        unitsUsed: 17,
        unitsMax: 1600,
        unitsLearned: 210,
        waiting: 3,
        circuit: 'open',
      },
    ],
  }
  const metrics = createMetrics(gauges, createCommitSeconds())
  const logger = pino({}, { write: (line: string) => lines.push(line) })
  const [vault, entra] = [createDependencyWatch(clock), createDependencyWatch(clock)]
  const events = createIssuanceTelemetry({ logger, metrics, clock, vault, entra })
  return { clock, events, lines, vault, entra, metrics: () => metrics.registry.metrics() }
}

test('a failure that thousands wait for is counted every time and logged a hundred times a minute', async () => {
  const { clock, events, lines, metrics } = newTelemetry()
  const fail = () => {
    events.failed('an attempt', 'SIGNER_UNAVAILABLE', new Error('away'))
  }
  for (let count = 0; count < 5000; count += 1) fail()
  expect(lines).toHaveLength(100)
  clock.advance(60)
  fail()
  expect(lines).toHaveLength(101)
  expect(await metrics()).toContain('countersign_failures_total{code="SIGNER_UNAVAILABLE"} 5001')
})

test.each([-7200, 7200])('a wall clock that jumps by %d s lets no more be logged', (seconds) => {
  const { clock, events, lines } = newTelemetry()
  for (let count = 0; count < 200; count += 1) {
    events.failed('an attempt', 'ENTRA_TIMEOUT', null)
    if (count === 150) clock.jump(seconds)
  }
  expect(lines).toHaveLength(100)
})

test('one code that fails does not keep another from being logged', () => {
  const { events, lines } = newTelemetry()
  for (let count = 0; count < 200; count += 1) events.failed('an attempt', 'ENTRA_TIMEOUT', null)
  events.failed('an attempt', 'LEDGER_UNAVAILABLE', null)
  expect(lines.at(-1)).toContain('LEDGER_UNAVAILABLE')
})

test('what a failing ledger did not take is logged, however many requests fail for it', () => {
  const { events, lines } = newTelemetry()
  for (let count = 0; count < 200; count += 1) {
    events.failed('an attempt', 'LEDGER_UNAVAILABLE', null)
  }
  const entry = {
    kind: 'signature.failed',
    atMs: 1,
    signature: 'a signature',
    code: 'SIGNER_TIMEOUT',
    applied: 'unknown',
  } as const
  for (let count = 0; count < 200; count += 1) {
    events.unrecorded('an attempt', entry, new Error('too late'))
  }
  const unrecorded = lines.filter((line) => line.includes('a signature'))
  expect(unrecorded).toHaveLength(100)
  expect(unrecorded[0]).toContain('too late')
})

test('strangers and named callers who are refused are logged ten times a minute and reason', () => {
  const { events, lines } = newTelemetry()
  for (let count = 0; count < 50; count += 1) {
    events.turnedAway('an attempt', 'caller_issuer_unknown', undefined, '')
    events.refused('an attempt', 'grant_missing')
  }
  expect(lines).toHaveLength(20)
})

test('operators can see when a certificate ends, and which signatures failed', async () => {
  const { events, metrics } = newTelemetry()
  events.signatureFailed({ code: 'SIGNER_THROTTLED', asked: true })
  const text = await metrics()
  expect(text).toContain('countersign_signature_failures_total{code="SIGNER_THROTTLED"} 1')
  expect(text).toContain(
    'countersign_certificate_not_after_seconds{certificate="partners",place="standby"} 2000000',
  )
})

test('operators can see how a vault stands, by the name of the certificate and not of the vault', async () => {
  const { events, metrics } = newTelemetry()
  events.permitGranted(40)
  events.permitRefused('GOVERNOR_BUDGET_SPENT')
  const lines = (await metrics()).split('\n')

  const labels = '{certificate="partners",place="standby"}'
  expect(lines).toEqual(
    expect.arrayContaining([
      `countersign_vault_units_used${labels} 17`,
      `countersign_vault_units_max${labels} 1600`,
      `countersign_sign_queue_length${labels} 3`,
      `countersign_sign_circuit${labels} 2`,
      'countersign_permits_refused_total{code="GOVERNOR_BUDGET_SPENT"} 1',
      'countersign_permit_wait_seconds_bucket{le="0.05"} 1',
      'countersign_permit_wait_seconds_bucket{le="0.025"} 0',
    ]),
  )
})

test('operators are told what is left alone and asked again, and which certificate signs', async () => {
  const { events, lines, metrics } = newTelemetry()
  const keyId = 'https://vault.example/keys/k/1'
  events.circuitChanged({ of: 'vault', keyId, to: 'open', code: 'SIGNER_THROTTLED', forMs: 1000 })
  events.circuitChanged({ of: 'vault', keyId, to: 'closed' })
  events.certificateSwitched({
    kind: 'certificate.switched',
    atMs: 0,
    certificate: 'partners',
    application: 'events',
    from: 'primary',
    to: 'standby',
    keyId,
    reason: 'SIGNER_THROTTLED',
  })

  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { msg: 'left alone for a while', of: 'vault', code: 'SIGNER_THROTTLED', forMs: 1000 },
    { msg: 'well again', of: 'vault' },
    { msg: 'another certificate signs', certificate: 'partners', to: 'standby' },
  ])
  expect(await metrics()).toContain('countersign_certificate_switches_total{to="standby"} 1')
})

test.each([
  ['SIGNER_UNAVAILABLE', true, 'failing'],
  // Nobody can ask the vault.
  ['SIGNER_CREDENTIAL', false, 'failing'],
  ['SIGNER_TOO_LATE', false, 'untried'],
  ['SIGNER_KEY_OUTSIDE_VALIDITY', false, 'untried'],
] as const)('what fails with %s (asked: %s) has the vault %s', (code, asked, state) => {
  const { events, vault } = newTelemetry()
  events.signatureFailed({ code, asked })
  expect(vault.state.state).toBe(state)
})

test.each([
  ['ENTRA_REFUSED', 'ok'],
  ['ENTRA_UNAVAILABLE', 'failing'],
  ['ENTRA_TIMEOUT', 'failing'],
  // Somebody else has answered.
  ['ENTRA_MALFORMED', 'failing'],
] as const)('an exchange that ends with %s has Entra %s', (code, state) => {
  const { events, entra } = newTelemetry()
  events.exchangeFailed(code)
  expect(entra.state.state).toBe(state)
})
