import { describe, expect, test } from 'vitest'
import { parseProbeName } from '../../../src/base/ids.ts'
import {
  changedSince,
  probeMetrics,
  type ProbeResult,
  type ProbeVerdict,
  resultOf,
  verdictOn,
} from '../../../src/cli/probe-result.ts'
import type { ServiceAnswer } from '../../../src/cli/service-client.ts'
import type { Probe } from '../../../src/config/probes-file.ts'
import { eventHubsToken, eventHubs, events, fabrikam } from '../../support/grants.ts'
import { required } from '../../support/required.ts'

const probe = (expected: Probe['expect'], code?: string): Probe => ({
  name: required(parseProbeName('orders')),
  expect: expected,
  application: events,
  tenant: fabrikam,
  want: { want: eventHubsToken.want, scope: eventHubs },
  ...(code === undefined ? {} : { code }),
})
const said = (status: number, code?: string): ServiceAnswer<unknown> => ({
  is: 'refusal',
  status,
  text: '',
  ...(code === undefined ? {} : { code }),
})
const yes: ServiceAnswer<unknown> = { is: 'answer', value: 'secret' }

describe('a probe', () => {
  test.for<readonly [string, ServiceAnswer<unknown>, ProbeVerdict, ProbeVerdict]>([
    ['yes', yes, 'satisfied', 'violated'],
    ['401 by the service', said(401, 'caller_not_proven'), 'violated', 'satisfied'],
    ['403 by the service', said(403, 'not_granted'), 'violated', 'satisfied'],
    ['401 by a proxy', said(401), 'undecided', 'undecided'],
    ['400', said(400, 'request_invalid'), 'undecided', 'undecided'],
    ['429', said(429, 'limit_reached'), 'undecided', 'undecided'],
    ['502', said(502, 'entra_refused'), 'undecided', 'undecided'],
    ['503', said(503, 'signing_busy'), 'undecided', 'undecided'],
    ['a page of somebody else', { is: 'foreign' }, 'undecided', 'undecided'],
  ])(
    'that is answered with %s is satisfied, violated or neither',
    ([, answer, granted, refused]) => {
      expect(resultOf(probe('granted'), answer).result).toBe(granted)
      expect(resultOf(probe('refused'), answer).result).toBe(refused)
      expect(JSON.stringify(resultOf(probe('granted'), answer))).not.toContain('secret')
    },
  )

  test('that names a code is undecided with another one, and violated when it is granted', () => {
    const meant = probe('refused', 'not_granted')
    expect(resultOf(meant, said(403, 'not_granted')).result).toBe('satisfied')
    expect(resultOf(meant, said(401, 'caller_not_proven')).result).toBe('undecided')
    expect(resultOf(meant, yes).result).toBe('violated')
  })
})

describe('a run', () => {
  const satisfied = resultOf(probe('granted'), yes)
  const violated = resultOf(probe('refused'), yes)
  const undecided = resultOf(probe('granted'), said(503, 'signing_busy'))

  test('is violated by one probe, whatever else, and satisfied only by all', () => {
    expect(verdictOn([satisfied, undecided, violated])).toBe('violated')
    expect(verdictOn([satisfied, undecided])).toBe('undecided')
    expect(verdictOn([satisfied])).toBe('satisfied')
  })

  test('is one sample for each verdict of each probe, and a time', () => {
    const samples = probeMetrics([violated], 1_790_000_000)
      .split('\n')
      .filter((line) => !line.startsWith('#'))
    expect(samples).toEqual([
      'countersign_probe{probe="orders",expect="refused",result="satisfied"} 0',
      'countersign_probe{probe="orders",expect="refused",result="violated"} 1',
      'countersign_probe{probe="orders",expect="refused",result="undecided"} 0',
      'countersign_probe_run_timestamp_seconds 1790000000',
      '',
    ])
  })
})

describe('what has changed', () => {
  const result = (name: string, verdict: ProbeVerdict, answer = 'granted'): ProbeResult => ({
    probe: required(parseProbeName(name)),
    expect: 'granted',
    result: verdict,
    answer,
  })
  const [orders, deploy] = [result('orders', 'satisfied'), result('deploy', 'violated')]

  test('is all in the first run, and nothing while all is as it was', () => {
    expect(changedSince([], [orders, deploy])).toEqual([orders, deploy])
    expect(changedSince([orders, deploy], [{ ...orders }, { ...deploy }])).toEqual([])
  })

  test.each([result('orders', 'violated'), result('orders', 'satisfied', 'otherwise')])(
    'is what comes out otherwise: %j',
    (now) => {
      expect(changedSince([orders, deploy], [now, deploy])).toEqual([now])
    },
  )
})
