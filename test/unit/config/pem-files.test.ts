import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadAll } from '../../../src/cli/load-all.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import type { NamedFiles } from '../../../src/config/named-files.ts'
import { configurationFixtures, september2026 } from '../../support/configuration-fixtures.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'
import { required } from '../../support/required.ts'

const smallest = required(configurationFixtures('valid').find(({ name }) => name === 'smallest'))

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-pem-'))
  file = join(folder, 'countersign.yaml')
  copyFileSync(join(smallest.folder, 'countersign.yaml'), file)
  writeFileSync(file, 'listen: { tls: { certFile: tls.crt, keyFile: tls.key } }\n', { flag: 'a' })
  writeFileSync(file, 'trust: { caFiles: [ca.pem] }\n', { flag: 'a' })
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
}

async function problemsOf(namedFiles?: NamedFiles) {
  const loaded = await loadConfig(file, september2026, namedFiles)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  return problems.map(({ rule, severity }) => `${severity} ${rule}`)
}

describe('files with certificates and keys', () => {
  test('are sound when they belong together, whatever else stands in them', async () => {
    const { cert, key } = createLoopbackTls()
    const other = createLoopbackTls()
    put('tls.crt', `# of contoso\n${cert}\n${other.cert}`)
    put('tls.key', key)
    put('ca.pem', `${other.cert}# and\r\n${cert.replaceAll('\n', '\r\n')}`)

    expect(await problemsOf('must-be-here')).toEqual([])
  })

  test('keep the service from starting when they are not there', async () => {
    const missing = ['listen.pem-file', 'listen.pem-file', 'trust.pem-file']

    expect((await problemsOf('must-be-here')).toSorted()).toEqual(
      missing.map((rule) => `error ${rule}`),
    )
    expect((await loadAll(file, 0)).ok).toBe(false)
  })

  test('are only missed where nothing is served', async () => {
    const loaded = await loadConfig(file, september2026)
    expect(loaded.ok).toBe(true)
    expect(await problemsOf()).toHaveLength(3)
    expect((await problemsOf()).filter((problem) => problem.startsWith('error'))).toEqual([])
  })

  test('are refused everywhere when the key is of another certificate', async () => {
    const { cert } = createLoopbackTls()
    put('tls.crt', cert)
    put('tls.key', createLoopbackTls().key)
    put('ca.pem', cert)

    expect(await problemsOf()).toEqual(['error listen.key-of-another-certificate'])
  })

  test('are refused when the certificate of the service is not the first', async () => {
    const { cert, key } = createLoopbackTls()
    put('tls.crt', createLoopbackTls().cert + cert)
    put('tls.key', key)
    put('ca.pem', cert)

    expect(await problemsOf()).toEqual(['error listen.key-of-another-certificate'])
  })

  test('are refused when certificate and key are each in the place of the other', async () => {
    const { cert, key } = createLoopbackTls()
    put('tls.crt', key)
    put('tls.key', cert)
    put('ca.pem', cert)

    expect(await problemsOf()).toEqual(['error listen.no-certificate', 'error listen.no-key'])
  })

  test('are refused when one certificate of many is damaged, and the line is said', async () => {
    const { cert, key } = createLoopbackTls()
    put('tls.crt', cert)
    put('tls.key', key)
    put('ca.pem', `${cert.trimEnd()}\n${cert.replace('MII', 'AAA').replace('MIH', 'AAA')}`)

    const loaded = await loadConfig(file, september2026)
    const line = cert.trimEnd().split('\n').length + 1
    expect(loaded).toMatchObject({ ok: false, problems: [{ rule: 'trust.broken-certificate' }] })
    expect(JSON.stringify(loaded)).toContain(`The certificate in line ${line} of`)
  })

  test('never have their content repeated', async () => {
    const { key } = createLoopbackTls()
    put('tls.crt', key)
    put('tls.key', key.replace('BEGIN PRIVATE', 'BEGIN ENCRYPTED PRIVATE'))
    put('ca.pem', key)

    const said = JSON.stringify(await loadConfig(file, september2026))
    expect(said).toContain('listen.no-key')
    expect(said).not.toContain(required(key.split('\n')[1]).slice(0, 16))
  })
})
