import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { calculateJwkThumbprint, exportJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CommandResult, programsIn, runCommand } from '../support/command-line.ts'
import { required } from '../support/required.ts'
import {
  cast,
  defaultGrants,
  type GrantFile,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { clientOrder, createLoopbackTlsFiles } from '../support/tls-clients.ts'

/** Every verb that asks the service, with every proof that a caller may have, over TLS. */

const files = createLoopbackTlsFiles()
const uri = 'spiffe://fabrikam.example/billing/export'
const may: GrantFile['may'] = [
  { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
  { application: 'deploy', tenant: cast.fabrikam, assertion: {} },
  { admin: 'revoke' },
]

let service: TestService
let environment: Readonly<Record<string, string>>

/** Options that each proof is given by. */
interface Proofs {
  readonly bearer: string
  readonly certificate: string
  readonly boundToCertificate: string
  readonly boundToKey: string
}
type ProofName = keyof Proofs
let proofs: Proofs
/** What is not a proof: the token without its key, and with another one. */
let stolen: Proofs

beforeAll(async () => {
  const emulator = await startServiceEmulator()
  service = await startTestService({
    emulator,
    configuration: (file) => ({
      ...files.listening(file),
      issuers: {
        ...file.issuers,
        edge: { kind: 'mtls', caFile: emulator.endpoints.clientCaFile, identity: 'uri' },
      },
    }),
    grants: [
      ...defaultGrants,
      { grant: 'edge', caller: { issuer: 'edge', claims: { uri } }, may },
      { grant: 'gitlab', caller: { issuer: 'gitlab', claims: { project_id: '20' } }, may },
    ],
  })
  environment = {
    PATH: programsIn(service.folder),
    COUNTERSIGN_URL: service.origin,
    NODE_EXTRA_CA_CERTS: files.write('ca.pem', files.ca),
    TENANT: cast.fabrikam,
  }
  const [own, other] = [await clientFiles('own', uri), await clientFiles('other', `${uri}/other`)]
  const [key, otherKey] = [await keyFile('own'), await keyFile('other')]
  const tokenFile = async (name: string, cnf?: object) =>
    `--token-file ${files.write(name, await service.callerToken('gitlab', cnf && { claims: { cnf } }))}`
  const x5t = await tokenFile('x5t.jwt', { 'x5t#S256': own.thumbprint })
  const jkt = await tokenFile('jkt.jwt', { jkt: key.thumbprint })
  const publicUrl = `--public-url ${cast.publicUrl}`
  proofs = {
    bearer: await tokenFile('plain.jwt'),
    certificate: own.options,
    boundToCertificate: `${x5t} ${own.options}`,
    boundToKey: `${jkt} ${key.option} ${publicUrl}`,
  }
  stolen = {
    bearer: x5t,
    certificate: other.options,
    boundToCertificate: `${x5t} ${other.options}`,
    boundToKey: `${jkt} ${otherKey.option} ${publicUrl}`,
  }
})
afterAll(async () => {
  await files.remove()
  await service.stop()
  await service.emulator.stop()
})

async function clientFiles(name: string, named: string) {
  const order = clientOrder({ names: [named] })
  const { certificatePem, keyPem } = await service.emulator.clients.issue(order)
  const [certificate, key] = [
    files.write(`${name}.pem`, certificatePem),
    files.write(`${name}.key`, keyPem),
  ]
  const { raw } = new X509Certificate(certificatePem)
  return {
    options: `--certificate ${certificate} --key ${key}`,
    thumbprint: createHash('sha256').update(raw).digest('base64url'),
  }
}

async function keyFile(name: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' })
  return {
    option: `--dpop-key ${files.write(`${name}-dpop.key`, pem)}`,
    thumbprint: await calculateJwkThumbprint(await exportJWK(publicKey)),
  }
}

const run = (command: string, more: Readonly<Record<string, string>> = {}) =>
  runCommand(`countersign ${command}`, { ...environment, ...more }, service.folder)

const token = '--application events --tenant "$TENANT" --scope https://orders.example/.default'
const assertion = '--application deploy --tenant "$TENANT"'

function succeeded({ code, stdout, stderr }: CommandResult): string {
  expect([code, stderr]).toEqual([0, ''])
  return stdout
}

describe.each(['bearer', 'certificate', 'boundToCertificate', 'boundToKey'] as const)(
  'with the proof %s',
  (proof: ProofName) => {
    test('a token and an assertion are given', async () => {
      expect(succeeded(await run(`token ${proofs[proof]} ${token}`))).toMatch(/^eyJ\S+\n$/)
      expect(succeeded(await run(`assertion ${proofs[proof]} ${assertion}`))).toMatch(/^eyJ\S+\n$/)
    })

    test('something is stopped and let go on', async () => {
      const revoked = succeeded(await run(`revoke ${proofs[proof]} --application other`))
      expect(revoked).toMatch(/^REVOKED /)
      const id = required(/^REVOKED (\S+)/.exec(revoked)?.[1])
      expect(succeeded(await run(`revoke ${proofs[proof]} --list`))).toContain(id)
      expect(succeeded(await run(`revoke ${proofs[proof]} --lift ${id}`))).toMatch(/^LIFTED/)
    })

    test('probes are satisfied', async () => {
      const orders = { application: 'events', tenant: cast.fabrikam, scope: cast.orders }
      const tokenFile = files.write(
        'stolen.jwt',
        await service.callerToken('github', { claims: { cnf: { jkt: 'a'.repeat(43) } } }),
      )
      const probes = {
        'orders-are-served': { expect: 'granted', ...orders },
        'a-bound-token-alone-is-nobody': {
          expect: 'refused',
          code: 'caller_not_proven',
          tokenFile,
          ...orders,
        },
      }
      writeFileSync(join(service.folder, 'probes.yaml'), JSON.stringify({ probes }))
      const lines = succeeded(await run(`probe probes.yaml ${proofs[proof]}`))
      expect(lines).toMatch(/^SATISFIED: 2 of 2/)
    })

    test("that is somebody else's, or lacks its key, nothing is given", async () => {
      const { code, stdout, stderr } = await run(`token ${stolen[proof]} ${token}`)
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/^token: (The caller is not proven|Not granted)\. /)
    })
  },
)

describe('a certificate', () => {
  test('is the proof although the environment has a token, which would be a second one', async () => {
    const COUNTERSIGN_TOKEN = await service.callerToken('gitlab')
    const given = await run(`token ${proofs.certificate} ${token}`, { COUNTERSIGN_TOKEN })
    expect(succeeded(given)).toMatch(/^eyJ/)
  })
})

describe('a shell', () => {
  test('has what an assertion comes with in variables', async () => {
    const command = `assertion ${proofs.bearer} ${assertion} --output env`
    const { code, stdout } = await runCommand(
      `eval "$(countersign ${command})"; echo "$COUNTERSIGN_CLIENT_ID $COUNTERSIGN_EXPIRES_IN $COUNTERSIGN_CLIENT_ASSERTION_TYPE"`,
      environment,
      service.folder,
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(
      new RegExp(
        `^${cast.deployClientId} [0-9]+ urn:ietf:params:oauth:client-assertion-type:jwt-bearer\n$`,
      ),
    )
  })
})

describe('a mistake', () => {
  const mistakes: readonly (readonly [string, () => string, string])[] = [
    [
      'a certificate without its key',
      () => '--certificate x.pem',
      'give both --certificate FILE and --key FILE',
    ],
    [
      'two proofs',
      () => `${proofs.certificate} --dpop-key x.key`,
      'give either --certificate or --dpop-key',
    ],
    [
      'a certificate with the key of another one',
      () =>
        proofs.certificate.replace(/--key .*/, required(/--key .*/.exec(stolen.certificate)?.[0])),
      '--certificate and --key are not a certificate and its key in PEM',
    ],
    [
      'a key that is not there',
      () => `${proofs.bearer} --dpop-key none`,
      '--dpop-key cannot be read. It is not there',
    ],
    [
      'what is no key',
      () =>
        `${proofs.bearer} --dpop-key ${required(/--certificate (\S+)/.exec(proofs.certificate)?.[1])}`,
      '--dpop-key: it is no private key in PEM',
    ],
  ]

  test.each(mistakes)('%s is told in one sentence', async (_, options, why) => {
    const { code, stdout, stderr } = await run(`token ${options()} ${token}`)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain(`token: ${why}`)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})
