import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { cast, startServiceEmulator, writeConfiguration } from '../support/test-service.ts'

const program = join(import.meta.dirname, '../../bin/countersign.js')

let emulator: TestEmulator
let folder: string

beforeAll(async () => {
  emulator = await startServiceEmulator()
  folder = mkdtempSync(join(tmpdir(), 'countersign-explain-'))
  writeConfiguration(folder, emulator, {
    configuration: (file) => ({ ...file, trust: { caFiles: [emulator.endpoints.caFile] } }),
  })
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await emulator.stop()
})

async function explain(args: readonly string[], input = '') {
  const child = spawn(process.execPath, [program, 'explain', ...args], { cwd: folder })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end(input)
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

const jobToken = (claims: Record<string, unknown> = {}, audience: string = cast.publicUrl) =>
  required(emulator.issuers.find('github')).mint(
    mintOrderSchema.parse({
      audience,
      claims: { repository_owner_id: '987', repository_id: '123456', ...claims },
    }),
  )

const forOrders = ['--application', 'events', '--tenant', cast.fabrikam, '--scope', cast.orders]
const forAssertion = ['--application', 'deploy', '--tenant', cast.fabrikam, '--assertion']
const stdin = ['--token', '-']

describe('countersign explain, with a token', () => {
  test('names the grant that gives it', async () => {
    const token = await jobToken()
    const { out, code } = await explain([...stdin, ...forOrders], token)
    expect(out).toBe('GRANTED: by grant: deploy-pipeline\n')
    expect(code).toBe(0)
  })

  test('reads it from a file, and never prints it', async () => {
    const token = await jobToken({ ref: 'refs/heads/dev' })
    writeFileSync(join(folder, 'job.jwt'), `${token}\n`)
    const { out, error, code } = await explain(['--token', 'job.jwt', ...forAssertion])
    expect(out).toBe(
      'REFUSED: no grant gives this.\n' +
        'grant deploy-pipeline: claim ref is "refs/heads/dev", and must be "refs/heads/main"\n',
    )
    expect(code).toBe(1)
    for (const part of token.split('.')) expect(out + error).not.toContain(part)
  })

  test('says what proves nobody, as the service would have it in its log', async () => {
    const wrong = await explain(
      [...stdin, ...forOrders],
      await jobToken({}, 'https://other.example'),
    )
    expect(wrong.out).toBe(
      'REFUSED: nobody is proven. caller_audience_wrong by the rules of issuer github (meant for https://other.example)\n',
    )
    expect(wrong.code).toBe(1)
    const token = await jobToken()
    const forged = `${token.slice(0, -8)}AAAAAAAA`
    const { out, code } = await explain([...stdin, ...forOrders], forged)
    expect(out).toMatch(/^REFUSED: nobody is proven. caller_signature_wrong/)
    expect(code).toBe(1)
  })

  test('takes the proof of a key for given, and says which keys nobody could prove', async () => {
    const bound = await jobToken({ ref: 'refs/heads/main', cnf: { jkt: 'a'.repeat(43) } })
    expect((await explain([...stdin, ...forOrders], bound)).code).toBe(0)
    const { out, code } = await explain(
      [...stdin, ...forOrders],
      await jobToken({ ref: 'refs/heads/main', cnf: { kid: 'a' } }),
    )
    expect(out).toBe(
      'REFUSED: nobody is proven. caller_binding_unknown by the rules of issuer github (cnf)\n',
    )
    expect(code).toBe(1)
  })

  test.each([
    ['does not answer', '127.0.0.1:9', 'ISSUER_UNREACHABLE'],
    ['is not asked', '10.98.76.54', 'ISSUER_ADDRESS_REFUSED'],
    ['is not asked, and how it would be', '10.98.76.54', 'set `privateAddress: accept`'],
  ])('says that it cannot tell when the issuer %s', async (_, host, why) => {
    const away = mkdtempSync(join(tmpdir(), 'countersign-explain-away-'))
    writeConfiguration(away, emulator, {
      configuration: (file) => ({
        ...file,
        issuers: {
          github: {
            kind: 'github',
            issuer: required(emulator.endpoints.issuers['github']),
            jwksUri: `https://${host}/jwks`,
            require: { repository_owner_id: '987' },
          },
        },
      }),
      grants: [],
    })
    const config = ['--config', join(away, 'countersign.yaml')]
    const { out, error, code } = await explain(
      [...config, ...stdin, ...forOrders],
      await jobToken(),
    )
    rmSync(away, { recursive: true })
    expect(out).toBe('')
    expect(error).toContain('issuer github cannot be asked for its keys: ISSUER_')
    expect(error).toContain(why)
    expect(code).toBe(2)
  })
})

describe('countersign explain, with claims', () => {
  test('takes them as proven, and reaches nobody', async () => {
    const claims = {
      repository_owner_id: '987',
      repository_id: '123456',
      ref: 'refs/heads/main',
    }
    writeFileSync(join(folder, 'claims.json'), JSON.stringify(claims))
    const from = ['--issuer', 'github', '--claims', 'claims.json']
    expect((await explain([...from, ...forAssertion])).code).toBe(0)
    const { out, code } = await explain([...from, ...forAssertion, '--lifetime-seconds', '600'])
    expect(out).toBe(
      'REFUSED: no grant gives this.\n' +
        'grant deploy-pipeline: names this caller, and gives assertions of 300 s at most\n',
    )
    expect(code).toBe(1)
  })

  test('refuses those that the issuer requires to be otherwise, before any grant', async () => {
    const claims = { repository_owner_id: '988', repository_id: '123456', ref: 'refs/heads/main' }
    writeFileSync(join(folder, 'others.json'), JSON.stringify(claims))
    const from = ['--issuer', 'github', '--claims', 'others.json']
    const { out, code } = await explain([...from, ...forAssertion])
    expect(out).toBe(
      'REFUSED: nobody is proven. issuer github requires another repository_owner_id of everybody.\n',
    )
    expect(code).toBe(1)
  })

  test('never prints a token that is given in place of its file', async () => {
    const token = await jobToken()
    const { out, error, code } = await explain(['--token', token, ...forOrders])
    expect(code).toBe(2)
    expect(error).toContain('--token must be a file')
    for (const part of token.split('.')) expect(out + error).not.toContain(part)
  })

  test.for([
    [
      'no caller',
      forOrders,
      'give either --token FILE, --certificate FILE, or --issuer NAME and --claims FILE',
    ],
    ['both', [...stdin, '--issuer', 'github', ...forOrders], 'give either --token FILE'],
    [
      'an issuer that is not listed',
      ['--issuer', 'gihub', '--claims', 'claims.json', ...forOrders],
      '--issuer must be one of',
    ],
    [
      'a file that is not there',
      ['--issuer', 'github', '--claims', 'none.json', ...forOrders],
      'the claims cannot be read from none.json',
    ],
    [
      'claims that are a list',
      ['--issuer', 'github', '--claims', 'list.json', ...forOrders],
      'list.json must be a JSON object of claims',
    ],
    ['neither token nor assertion', [...stdin, ...forOrders.slice(0, 4)], 'give either --scope'],
    ['a scope of two', [...stdin, ...forOrders.slice(0, 5), 'a b'], '--scope must be one resource'],
    [
      'a configuration that is not there',
      ['--config', 'none.yaml', ...stdin, ...forOrders],
      'does not load',
    ],
  ] as const)('refuses %s', async ([, args, message]) => {
    writeFileSync(join(folder, 'list.json'), '[1]')
    writeFileSync(join(folder, 'claims.json'), '{}')
    const { out, error, code } = await explain(args)
    expect(error).toContain(message)
    expect(out).toBe('')
    expect(code).toBe(2)
  })
})
