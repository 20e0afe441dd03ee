import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pemFrom } from '../../../src/emulator/x509/certificate.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { exportedLine } from '../../../src/ledger/exported-ledger.ts'
import {
  anchorText,
  headKey,
  otherHeadKey,
  signingCertificate,
  writeLedger,
  type WrittenLedger,
} from '../../support/evidence.ts'
import { createTestWitnessKey, witnessText } from '../../support/witness.ts'

const witnessKey = createTestWitnessKey()

let folder: string
let ledger: WrittenLedger
const at = (name: string) => join(folder, name)
const write = (name: string, text: string | Buffer) => {
  writeFileSync(at(name), text)
  return at(name)
}
const exported = (rows: readonly Row[]) => rows.map(exportedLine).join('')

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-ledger-verify-'))
  ledger = writeLedger({ entries: 120, headEvery: 50, proofEvery: 20 })
  write('ledger.jsonl', exported(ledger.rows))
  write('heads.jsonl', anchorText(ledger.heads))
  write('witnessed.jsonl', witnessText(ledger.heads, witnessKey))
  write('witness.pem', witnessKey.publicKey.export({ type: 'spki', format: 'pem' }))
  write('private.pem', witnessKey.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  write('key.pem', headKey.publicKey.export({ type: 'spki', format: 'pem' }))
  write('other.pem', otherHeadKey.publicKey.export({ type: 'spki', format: 'pem' }))
  write('certificate.pem', pemFrom('CERTIFICATE', signingCertificate.raw))
  write('certificate.der', signingCertificate.raw)
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function verify(...options: readonly string[]) {
  const args = ['src/cli/countersign.ts', 'ledger', 'verify', ...options]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

describe('countersign ledger verify on an export', () => {
  test('says what is proven by evidence from outside', () => {
    const evidence = [
      ...['--anchor', at('heads.jsonl'), '--head-key', at('key.pem')],
      ...['--certificate', at('certificate.der')],
    ]
    const { status, stdout, stderr } = verify('--ledger', at('ledger.jsonl'), ...evidence)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^SOUND: /)
    expect(stdout).toContain('verified with --head-key, the newest for entry 100')
    expect(stdout).toContain('rebuilt and verified with --certificate; 0 made and not proved')
    expect(stdout).toContain(`  unsealed: ${ledger.rows.length - 100}\n`)
    expect(stdout).toContain('Proven unrewritten up to entry 100, as far as')
    expect(stdout).not.toContain('on record here')
  })

  test('says what its own record of keys is worth', () => {
    const { status, stdout } = verify('--ledger', at('ledger.jsonl'))
    expect(status).toBe(0)
    expect(stdout).toContain("verified with the ledger's own record of the key")
    expect(stdout).toContain('Self-consistent, not proven unrewritten')
    expect(stdout).toContain('prove only what their writer says')
  })

  test('says what a witness proves, by whose key', () => {
    const witness = ['--witness', at('witnessed.jsonl'), '--witness-key', at('witness.pem')]
    const { status, stdout } = verify('--ledger', at('ledger.jsonl'), ...witness)
    expect(status).toBe(0)
    expect(stdout).toContain(`  witness  ${at('witnessed.jsonl')}: 2 of its heads fit`)
    expect(stdout).toContain('Proven unrewritten up to entry 100: a witness has seen it')
    expect(stdout).not.toContain('could not write the anchor')
  })

  test('tells programs the same', () => {
    const { stdout } = verify(
      '--ledger',
      at('ledger.jsonl'),
      '--anchor',
      at('heads.jsonl'),
      '--json',
    )
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'sound',
      provenUpTo: 100,
      unsealed: ledger.rows.length - 100,
      intactUpTo: { sequence: ledger.rows.length },
      heads: { keys: 'ledger', verified: 2 },
    })
  })

  test('takes a key as Azure shows it, and knows one that did not sign', () => {
    const { n = '', e = '' } = headKey.publicKey.export({ format: 'jwk' })
    const shown = { key: { kty: 'RSA-HSM', n: Buffer.from(n, 'base64url').toString('base64'), e } }
    const key = write('shown.json', JSON.stringify(shown))
    expect(verify('--ledger', at('ledger.jsonl'), '--head-key', key).status).toBe(0)
    const other = verify('--ledger', at('ledger.jsonl'), '--head-key', at('other.pem'))
    expect(other.status).toBe(2)
    expect(other.stdout).toContain('heads are signed with a key that was not given')
  })

  test('names a line that was cut, joined, or is no line of an export', () => {
    const lines = exported(ledger.rows).trimEnd().split('\n')
    const damaged: readonly (readonly [string, readonly string[]])[] = [
      ['entry 40 was removed', lines.toSpliced(39, 1)],
      ['entry 40 was changed', lines.with(39, `${lines[39]?.slice(0, -9)}`)],
      ['entry 40 was inserted', lines.toSpliced(39, 0, '=cmd|calc', '\u001b[2J')],
      [
        'entry 40 was put in another order',
        [...lines.slice(0, 39), ...lines.slice(40, 60), lines[39] ?? '', ...lines.slice(60)],
      ],
      ['from entry 90 on the ledger was cut off', lines.slice(0, 89)],
    ]
    for (const [said, text] of damaged) {
      const file = write('damaged.jsonl', `${text.join('\n')}\n`)
      const { status, stdout } = verify('--ledger', file, '--anchor', at('heads.jsonl'))
      expect({ status, said: stdout.split('\n')[0] }).toEqual({
        status: 1,
        said: expect.stringContaining(`DAMAGED: ${said}`) as unknown,
      })
    }
  })

  test.each([
    ['an anchor that is not there', () => ['--anchor', at('none')], 'no such file'],
    [
      'a witness without its key',
      () => ['--witness', at('witnessed.jsonl')],
      'needs --witness-key',
    ],
    [
      'a private key for a witness',
      () => ['--witness-key', at('private.pem')],
      'must hold the public key of a witness',
    ],
    ['a key that is none', () => ['--head-key', at('heads.jsonl')], 'must hold an RSA public key'],
    [
      'a certificate that is none',
      () => ['--certificate', at('key.pem')],
      'must hold a certificate',
    ],
  ])('exits with 2 for %s', (_, options, said) => {
    const { status, stderr, stdout } = verify('--ledger', at('ledger.jsonl'), ...options())
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain(said)
    expect(stderr).not.toContain('    at ')
  })
})
