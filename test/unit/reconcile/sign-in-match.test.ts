import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Entry, ExchangeFailed, ExchangeSucceeded } from '../../../src/ledger/entry.ts'
import { evidenceMax } from '../../../src/reconcile/kept-evidence.ts'
import { account } from '../../../src/reconcile/reconcile.ts'
import { signInRecordFrom } from '../../../src/reconcile/sign-in-record.ts'
import type { SignInRecord } from '../../../src/reconcile/sign-in-record.ts'
import { accounted } from '../../support/audit/accounted.ts'
import { auditRecord, signInRecord } from '../../support/audit/entra-log-shapes.ts'
import type { EntraAudit, EntraSignIn } from '../../support/audit/entra-log-shapes.ts'
import { chainedRows } from '../../support/entries.ts'
import {
  begun,
  beganAtMs,
  laterMs,
  loaded,
  made,
  minuteMs,
  proved,
} from '../../support/signed-traffic.ts'

const client = '11111111-0000-4000-8000-000000000001'
const servicePrincipal = '11111111-0000-4000-8000-0000000000b1'
const tenant = 'fab00000-0000-4000-8000-000000000002'
const thumbprint = hash('sha1', Buffer.from(loaded.der, 'base64'), 'hex').toUpperCase()
const traceOf = (n: number) => `e0000000-0000-4000-8000-${String(n).padStart(12, '0')}`

const exchange = {
  exchange: 'x',
  signature: 's',
  attempt: 'a',
  application: 'events',
  tenant,
  scope: 'https://eventhubs.azure.net/.default',
}

const exchanged = (n: number, changes: Partial<ExchangeSucceeded> = {}): Entry => ({
  kind: 'exchange.succeeded',
  atMs: beganAtMs(n) + 200,
  ...exchange,
  traceId: traceOf(n),
  uti: `uti-${n}`,
  tokenSha256: 't',
  expiresAtSeconds: 1,
  ...changes,
})

const lost = (n: number): ExchangeFailed => ({
  kind: 'exchange.failed',
  atMs: beganAtMs(n) + 200,
  ...exchange,
  code: 'TOKEN_ENDPOINT_TIMEOUT',
  applied: 'unknown',
})

const handedOut = (n: number): Entry => ({
  kind: 'assertion.issued',
  atMs: beganAtMs(n),
  attempt: 'a',
  caller: { issuer: 'github', subject: 's' },
  grant: 'deploy',
  application: 'events',
  tenant,
  signature: 's',
  assertionSha256: 'a',
  expiresAtSeconds: beganAtMs(n) / 1000 + 300,
})

const signIn = (n: number, changes: Partial<EntraSignIn> = {}): string =>
  JSON.stringify(
    signInRecord({
      time: new Date(beganAtMs(n) + 150).toISOString(),
      id: traceOf(n),
      correlationId: traceOf(n),
      uti: `uti-${n}`,
      appId: client,
      servicePrincipalId: servicePrincipal,
      tenant,
      errorCode: 0,
      keyId: '',
      thumbprint,
      federatedId: '',
      ipAddress: '203.0.113.9',
      resource: 'https://eventhubs.azure.net',
      ...changes,
    }),
  )

function recordOf(line: string): SignInRecord {
  const record = signInRecordFrom(JSON.parse(line))
  if (record.kind === 'not-understood') throw new RangeError(record.why)
  return record
}

// eslint-disable-next-line @typescript-eslint/require-await -- a log may be waited for, this one is here
async function* inBatches<Item>(items: readonly Item[]): AsyncGenerator<readonly Item[]> {
  yield items
}

const change = (changes: Partial<EntraAudit> = {}): string =>
  JSON.stringify(
    auditRecord({
      time: '2026-11-22T04:30:00Z',
      id: 'audit-1',
      correlationId: 'audit-1',
      activity: 'Update application – Certificates and secrets management ',
      result: 'success',
      tenant,
      by: { user: { id: 'u', userPrincipalName: 'mallory@contoso.example' } },
      target: { id: 'object-1', displayName: 'events', type: 'Application' },
      appId: client,
      changes: [],
      ...changes,
    }),
  )

async function found(
  entries: readonly Entry[],
  logs: { readonly signIns?: readonly string[]; readonly audits?: readonly string[] },
  applicationIds: readonly string[] = [],
  nowMs = laterMs,
) {
  const rows = chainedRows([loaded, begun(0), made(0), ...entries, proved(0)])
  const options = { nowMs, graceMs: 30 * minuteMs, applicationIds }
  const { findings, undecided, signInLog } = await accounted(rows, { vault: [], ...logs }, options)
  return {
    kinds: findings.map(({ kind }) => kind),
    findings,
    reasons: undecided
      .map(({ reason }) => reason)
      .filter((reason) => reason !== 'log-does-not-reach' && reason !== 'log-empty'),
    explained: signInLog?.explained,
  }
}

describe('a sign-in that the ledger knows', () => {
  it.each([
    ['by its trace id', { uti: '' }],
    ['by the id of its token', { id: traceOf(99) }],
  ])('is explained %s, however often it was delivered', async (_, changes) => {
    const line = signIn(1, changes)
    expect(await found([exchanged(1)], { signIns: [line, line] })).toMatchObject({
      kinds: [],
      reasons: [],
      explained: 1,
    })
  })

  it('shows which application is ours: its others are to be accounted for too', async () => {
    const signIns = [signIn(5), signIn(1)]
    expect(await found([exchanged(1)], { signIns })).toMatchObject({
      findings: [{ kind: 'signin.unexplained', signIn: { id: traceOf(5) } }],
    })
  })
})

describe('a sign-in that the ledger does not know', () => {
  it('is nothing to us when it is of another application, with another certificate', async () => {
    const other = signIn(5, { appId: 'other', thumbprint: 'AB'.repeat(20) })
    expect(await found([exchanged(1)], { signIns: [signIn(1), other] })).toMatchObject({
      kinds: [],
    })
  })

  it('is unexplained when it is proven with our certificate, whatever application it is of', async () => {
    const other = signIn(5, { appId: 'other' })
    expect((await found([exchanged(1)], { signIns: [signIn(1), other] })).kinds).toEqual([
      'signin.unexplained',
    ])
  })

  it.each([
    ['another certificate', { thumbprint: 'AB'.repeat(20) }],
    ['a secret', { thumbprint: '', keyId: traceOf(7) }],
    ['a federated credential', { thumbprint: '', federatedId: traceOf(7) }],
  ])('is signin.foreign-credential when it used %s', async (_, changes) => {
    const signIns = [signIn(5, changes)]
    expect((await found([], { signIns }, [client])).kinds).toEqual(['signin.foreign-credential'])
  })

  it('is no finding when it was refused', async () => {
    expect(
      (await found([], { signIns: [signIn(5, { errorCode: 700027 })] }, [client])).kinds,
    ).toEqual([])
  })

  it.each([
    ['an answer was lost', lost(5), 'answer-lost'],
    ['an assertion that was handed out lived', handedOut(5), 'assertion-handed-out'],
  ])('is ambiguous while %s, in that tenant and at that time', async (_, entry, because) => {
    const there = await found([entry], { signIns: [signIn(5)] }, [client])
    expect(there.findings).toMatchObject([{ kind: 'signin.ambiguous', because }])
    const elsewhere = signIn(5, { tenant: 'other' })
    expect((await found([entry], { signIns: [elsewhere] }, [client])).kinds).toEqual([
      'signin.unexplained',
    ])
    expect((await found([entry], { signIns: [signIn(60)] }, [client])).kinds).toEqual([
      'signin.unexplained',
    ])
  })

  it.each([
    ['an answer was lost', lost(5)],
    ['an assertion that was handed out lived', handedOut(5)],
  ])('is not excused by another application, of which %s', async (_, entry) => {
    const orders = { appId: '22222222-0000-4000-8000-000000000002' }
    const knowsEvents = [exchanged(1), entry]
    const knowsOrders = [exchanged(2, { application: 'orders' }), entry]
    const ofOrders = [signIn(5, orders)]
    expect((await found(knowsEvents, { signIns: [signIn(1), ...ofOrders] })).kinds).toEqual([
      'signin.unexplained',
    ])
    expect((await found(knowsOrders, { signIns: [signIn(2, orders), ...ofOrders] })).kinds).toEqual(
      ['signin.unexplained'],
    )
    expect((await found([...knowsEvents], { signIns: [signIn(1), signIn(5)] })).kinds).toEqual([
      'signin.ambiguous',
    ])
  })

  it('is found among more sign-ins of others than are kept', async () => {
    const other = recordOf(signIn(5, { appId: 'other', thumbprint: 'AB'.repeat(20) }))
    const others = Array.from({ length: evidenceMax + 1 }, (_, index) => ({
      ...other,
      id: `other-${index}`,
    }))
    const records = [...others, recordOf(signIn(5)), recordOf(signIn(1))]
    const { findings, undecided } = await account({
      pages: () => inBatches(chainedRows([loaded, exchanged(1)])),
      vaultRecords: () => inBatches([]),
      signIns: () => inBatches(records),
      keys: [],
      nowMs: laterMs,
      graceMs: 30 * minuteMs,
    })
    expect(findings).toMatchObject([{ kind: 'signin.unexplained', signIn: { id: traceOf(5) } }])
    expect(undecided.map(({ reason }) => reason)).not.toContain('too-many')
  })

  it('is undecided while it is young', async () => {
    const young = await found([], { signIns: [signIn(5)] }, [client], beganAtMs(20))
    expect(young.kinds).toEqual([])
    expect(young.reasons).toContain('sign-in-too-young')
  })

  it('is undecided from before the ledger, and no signature of it', async () => {
    const before = await found([], { signIns: [signIn(-60)] }, [client])
    expect(before).toMatchObject({ kinds: [], reasons: ['sign-in-before-ledger'] })
    expect((await found([], { signIns: [signIn(0)] }, [client])).kinds).toEqual([
      'signin.unexplained',
    ])
  })

  it('is undecided when no application is known to be ours', async () => {
    expect(await found([], { signIns: [] })).toMatchObject({
      kinds: [],
      reasons: ['no-application-to-watch'],
    })
  })
})

describe('application.changed', () => {
  it.each([
    ['a credential by client id', change()],
    ['an owner', change({ activity: 'Add owner to application' })],
    [
      'a federated credential',
      change({
        activity: 'Update application',
        changes: [{ displayName: 'FederatedIdentityCredentials', oldValue: '[]', newValue: '[1]' }],
      }),
    ],
    [
      'keys, in the list of what was updated',
      change({
        activity: 'Update application',
        changes: [
          {
            displayName: 'Included Updated Properties',
            oldValue: null,
            newValue: '"KeyDescription"',
          },
        ],
      }),
    ],
    [
      'a service principal that a sign-in shows to be ours',
      change({
        activity: 'Add service principal credentials',
        appId: '',
        target: { id: servicePrincipal, displayName: 'events', type: 'ServicePrincipal' },
      }),
    ],
  ])('is a change of %s', async (_, line) => {
    const logs = { signIns: [signIn(1)], audits: [line, line] }
    expect((await found([exchanged(1)], logs)).kinds).toEqual(['application.changed'])
  })

  it('is undecided when the record tells no client id, and no object that is watched', async () => {
    const line = change({ appId: '' })
    const logs = { signIns: [signIn(1)], audits: [line, line] }
    expect(await found([exchanged(1)], logs)).toMatchObject({
      kinds: [],
      reasons: ['change-of-unknown-application'],
    })
    expect((await found([exchanged(1)], logs, ['object-1'])).kinds).toEqual(['application.changed'])
  })

  it.each([
    ['of another application', change({ appId: 'other' })],
    ['that failed', change({ result: 'failure' })],
    [
      'of its tags',
      change({
        activity: 'Update application',
        changes: [{ displayName: 'Tag', oldValue: null, newValue: '["key"]' }],
      }),
    ],
    ['of nothing that lets others in', change({ activity: 'Add application' })],
  ])('is no change %s', async (_, line) => {
    expect((await found([], { audits: [line] }, [client])).kinds).toEqual([])
  })
})
