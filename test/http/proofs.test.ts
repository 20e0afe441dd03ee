import { constants, createHash, verify, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Entry, EntryKind } from '../../src/ledger/entry.ts'
import { required } from '../support/required.ts'
import {
  deployAsk,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** What the ledger alone lets anybody check, with a hash and a verifier, once assertions are dead. */

let service: TestService

beforeAll(async () => {
  service = await startTestService()
  const workload = await service.callerToken('fabrikam-orders')
  await service.ask('POST /v1/token', { token: workload, json: ordersAsk })
  const job = await service.callerToken('github')
  await service.ask('POST /v1/assertion', { token: job, json: deployAsk })
})
afterAll(() => service.stop())

type EntryOf<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>

const entriesOf = <Kind extends EntryKind>(kind: Kind) =>
  service.entries().filter((entry): entry is EntryOf<Kind> => entry.kind === kind)

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('base64url')

describe('while an assertion lives', () => {
  test('nothing of it is published', async () => {
    await service.service.proofs.publish()

    expect(entriesOf('signature.begun')).toHaveLength(2)
    expect(entriesOf('signature.proved')).toEqual([])
    expect(service.service.proofs.unproved).toBe(2)
  })
})

describe('when it is dead', () => {
  beforeAll(async () => {
    service.emulator.clock.shift(300 + 600)
    await service.service.proofs.publish()
  })

  test('every signature is shown to be the one that was claimed', () => {
    const proofs = entriesOf('signature.proved')
    expect(proofs).toHaveLength(2)
    for (const { signature, signingInput, signatureValue } of proofs) {
      const begun = required(
        entriesOf('signature.begun').find((one) => one.signature === signature),
      )
      const made = required(entriesOf('signature.made').find((one) => one.signature === signature))
      const value = Buffer.from(signatureValue, 'base64url')
      expect(begun.digest).toBe(sha256(signingInput))
      expect(made.signatureSha256).toBe(sha256(value))

      const { der } = required(
        entriesOf('certificate.loaded').find((one) => one.keyId === begun.keyId),
      )
      const { publicKey } = new X509Certificate(Buffer.from(der, 'base64'))
      const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      const verifies = (text: string) =>
        verify('sha256', Buffer.from(text), { key: publicKey, ...pss }, value)
      expect(verifies(signingInput)).toBe(true)
      expect(verifies(`${signingInput}A`)).toBe(false)
    }
  })

  test('what was signed says what the entries say: application, tenant, end', () => {
    for (const { signature, signingInput } of entriesOf('signature.proved')) {
      const begun = required(
        entriesOf('signature.begun').find((one) => one.signature === signature),
      )
      const payload = required(signingInput.split('.')[1])
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
        aud: string
        exp: number
      }
      expect(claims.aud).toContain(`/${begun.tenant}/`)
      expect(claims.exp).toBe(begun.expiresAtSeconds)
    }
  })

  test('the vault has a record of each, found by the id that it gave', () => {
    const recorded = service.vaultRecords().map(({ correlationId }) => correlationId)

    expect(entriesOf('signature.made').map(({ vaultRequestId }) => vaultRequestId)).toEqual(
      recorded,
    )
  })

  test('the assertion that was handed out is told by its hash', () => {
    const [issued] = entriesOf('assertion.issued')
    const proof = required(
      entriesOf('signature.proved').find(({ signature }) => signature === issued?.signature),
    )

    expect(issued?.assertionSha256).toBe(sha256(`${proof.signingInput}.${proof.signatureValue}`))
  })
})
