import { constants, hash, sign } from 'node:crypto'
import type { ExchangeRecord } from '../../../src/emulator/entra/exchange-log.ts'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { createClientCertificate } from '../client-certificate.ts'
import { required } from '../required.ts'
import { vaultRecord } from '../vault-records.ts'
import { type Caller, callersAt, clientIds, placesOf, serviceObjectId } from './cast.ts'
import type { Heard } from './clients.ts'
import type { Evidence } from './evidence.ts'

/** Evidence of three requests, small enough to be looked through, for those who test the judge. */

const authority = 'https://127.0.0.1:8443'
const places = placesOf(2)
const here = required(places[0])
export const elsewhere = required(places[1])
export const workload = required(callersAt(here)[0])
export const job = required(callersAt(here)[1])
export const keyId = `https://127.0.0.1:8444/keys/events-signing/${'0'.repeat(32)}`
export const beganAtMs = Date.parse('2026-11-22T04:56:16.000Z')
const sha256 = (text: string) => hash('sha256', text, 'base64url')
const nonceOf = (signature: string) => signature.padEnd(22, '-')

const decision = (attempt: string, caller: Caller) => ({
  attempt,
  caller: { issuer: 'issuer', subject: caller.name, tokenSha256: sha256(caller.name) },
  grant: required(caller.grant).name,
  application: caller === workload ? 'events' : 'deploy',
  tenant: here.tenantId,
})

const signing = (signature: string, attempt: string, caller: Caller): readonly Entry[] => [
  { kind: 'request.granted', atMs: beganAtMs, ...decision(attempt, caller) },
  {
    kind: 'signature.begun',
    atMs: beganAtMs,
    signature,
    attempt,
    purpose: caller === workload ? 'exchange' : 'hand-out',
    application: 'events',
    tenant: here.tenantId,
    keyId,
    algorithm: 'PS256',
    digest: 'digest',
    nonceSha256: sha256(nonceOf(signature)),
    expiresAtSeconds: beganAtMs / 1000 + 300,
  },
]

const made = (signature: string): Entry => ({
  kind: 'signature.made',
  atMs: beganAtMs + 20,
  signature,
  vaultRequestId: `record-${signature}`,
  signatureSha256: 'sha256',
})

export const record = (signature: string, changes: Partial<VaultRecord> = {}): VaultRecord =>
  vaultRecord({
    time: '2026-11-22T04:56:16.0100000Z',
    correlationId: `record-${signature}`,
    identity: { claim: { oid: serviceObjectId } },
    properties: {
      id: keyId,
      algorithm: 'PS256',
      clientInfo: `countersign/0.1.0 (signature-nonce ${nonceOf(signature)})`,
      httpStatusCode: 200,
    },
    ...changes,
  })

const tokenSha256 = sha256('token')

const certificate = await createClientCertificate()
const signature = sign('sha256', Buffer.from('header.payload'), {
  key: certificate.privateKey,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
})
const assertion = `header.payload.${signature.toString('base64url')}`
const assertionSha256 = sha256(assertion)

export const heardToken: Heard = {
  caller: workload,
  callerTokenSha256: sha256(workload.name),
  ask: {
    want: 'token',
    application: 'events',
    tenant: here.tenantId,
    scope: 'https://orders.example/.default',
  },
  outcome: {
    kind: 'issued',
    attempt: 'attempt-1',
    compact: 'token',
    sha256: tokenSha256,
    claims: { tid: here.tenantId, appid: clientIds.events, aud: 'https://orders.example' },
    contractFaults: [],
  },
}

export const heardAssertion: Heard = {
  caller: job,
  callerTokenSha256: sha256(job.name),
  ask: { want: 'assertion', application: 'deploy', tenant: here.tenantId },
  outcome: {
    kind: 'issued',
    attempt: 'attempt-2',
    compact: assertion,
    sha256: assertionSha256,
    claims: {
      iss: clientIds.deploy,
      sub: clientIds.deploy,
      aud: `${authority}/${here.tenantId}/oauth2/v2.0/token`,
      iat: 1000,
      exp: 1300,
    },
    contractFaults: [],
  },
}

export const exchange: ExchangeRecord = {
  time: '2026-11-22T04:56:16.030Z',
  tenant: here.tenantId,
  clientId: clientIds.events,
  scope: 'https://orders.example/.default',
  assertionSha256: 'hex',
  outcome: {
    kind: 'issued',
    uti: 'uti',
    accessTokenSha256: Buffer.from(tokenSha256, 'base64url').toString('hex'),
    certificate: 'certificate',
  },
  fault: undefined,
  traceId: 'trace',
  correlationId: 'correlation',
  clientRequestId: 'exchange-1',
}

/** A token and an assertion as they should be, and a signature whose answer a kill has lost. */
export const sound: Evidence = {
  places,
  authority,
  entries: [
    {
      kind: 'certificate.loaded',
      atMs: beganAtMs,
      certificate: 'events',
      keyId,
      thumbprintSha256: certificate.x5tS256,
      notAfterSeconds: beganAtMs / 1000 + 86_400,
      der: certificate.der.toString('base64'),
    },
    ...signing('signature-1', 'attempt-1', workload),
    made('signature-1'),
    {
      kind: 'exchange.succeeded',
      atMs: beganAtMs + 40,
      exchange: 'exchange-1',
      signature: 'signature-1',
      attempt: 'attempt-1',
      application: 'events',
      tenant: here.tenantId,
      scope: 'https://orders.example/.default',
      traceId: 'trace',
      tokenSha256,
      expiresAtSeconds: beganAtMs / 1000 + 3599,
    },
    {
      kind: 'token.issued',
      atMs: beganAtMs + 50,
      ...decision('attempt-1', workload),
      scope: 'https://orders.example/.default',
      obtainedBy: 'attempt-1',
      tokenSha256,
      expiresAtSeconds: beganAtMs / 1000 + 3599,
    },
    ...signing('signature-2', 'attempt-2', job),
    made('signature-2'),
    {
      kind: 'assertion.issued',
      atMs: beganAtMs + 50,
      ...decision('attempt-2', job),
      signature: 'signature-2',
      assertionSha256,
      expiresAtSeconds: beganAtMs / 1000 + 300,
    },
    ...signing('signature-3', 'attempt-3', workload),
  ],
  heard: [heardToken, heardAssertion, { ...heardToken, outcome: { kind: 'lost' } }],
  records: ['signature-1', 'signature-2', 'signature-3'].map((signature) => record(signature)),
  exchanges: [exchange],
}
