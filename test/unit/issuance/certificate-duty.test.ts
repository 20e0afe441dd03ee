import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseApplicationName, parseCertificateName } from '../../../src/base/ids.ts'
import { createCertificateDuty } from '../../../src/issuance/certificate-duty.ts'
import type { SigningCredential } from '../../../src/issuance/credentials.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'

const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const events = required(parseApplicationName('events'))
const deploy = required(parseApplicationName('deploy'))

const credentialOf = (place: 'primary' | 'standby'): SigningCredential => ({
  certificate: required(parseCertificateName('partners')),
  place,
  key: {
    keyId: `https://${place}.vault.example/keys/k/1`,
    publicKey,
    heldBy: 'hsm',
    notBeforeSeconds: undefined,
    notAfterSeconds: undefined,
  },
  header: { algorithm: 'PS256', encoded: '' },
})
const [primary, standby] = [credentialOf('primary'), credentialOf('standby')]
const pair = [primary, standby]

function world() {
  const clock = fixedClock(1000)
  const duty = createCertificateDuty({
    epochMs: () => 1_790_000_000_000,
    nowMs: () => clock.nowMs(),
  })
  return { clock, duty }
}

describe('the duty', () => {
  test('is the primary’s, and its signatures change nothing', () => {
    const { duty } = world()

    expect(duty.inOrder(events, pair)).toEqual(pair)
    expect(duty.changeTo(events, primary, undefined)).toBeUndefined()
    expect(duty.changeTo(events, primary, 'SIGNER_THROTTLED')).toBeUndefined()
  })

  test('goes to the standby with a line that says why, once', () => {
    const { duty } = world()

    expect(duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')?.entry).toEqual({
      kind: 'certificate.switched',
      atMs: 1_790_000_000_000,
      certificate: 'partners',
      application: 'events',
      from: 'primary',
      to: 'standby',
      keyId: standby.key.keyId,
      reason: 'GOVERNOR_VAULT_PAUSED',
    })
    expect(duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')).toBeUndefined()
  })

  test('stays there for half a minute, and then the primary is tried first again', () => {
    const { duty, clock } = world()
    duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')
    clock.advance(29)
    expect(duty.inOrder(events, pair)).toEqual([standby, primary])
    clock.advance(1)

    expect(duty.inOrder(events, pair)).toEqual(pair)
    expect(duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')).toBeUndefined()
    expect(duty.changeTo(events, primary, undefined)?.entry).toMatchObject({
      from: 'standby',
      to: 'primary',
      reason: 'SERVES_AGAIN',
    })
  })

  test('comes back sooner when the standby cannot sign', () => {
    const { duty } = world()
    duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')

    expect(duty.changeTo(events, primary, 'SIGNER_FORBIDDEN')?.entry).toMatchObject({
      to: 'primary',
      reason: 'SIGNER_FORBIDDEN',
    })
  })

  test('is each application’s own', () => {
    const { duty } = world()
    duty.changeTo(events, standby, 'ENTRA_CERTIFICATE_UNKNOWN')

    expect(duty.inOrder(deploy, pair)).toEqual(pair)
  })

  test('has not changed when its line could not be written', () => {
    const { duty } = world()
    duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')?.undo()

    expect(duty.inOrder(events, pair)).toEqual(pair)
    expect(duty.changeTo(events, standby, 'GOVERNOR_VAULT_PAUSED')).toBeDefined()
  })
})
