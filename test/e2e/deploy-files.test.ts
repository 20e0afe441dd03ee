import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { programsIn, runCommand } from '../support/command-line.ts'
import { missingKubectl, missingSystemdAnalyze } from '../support/foreign-programs.ts'
import { required } from '../support/required.ts'
import { ordersAsk, startTestService, type TestService } from '../support/test-service.ts'

/** What `deploy` has for whoever keeps watch and for a witness: its command lines are run, with places of the test. */

const read = (file: string) => readFileSync(join('deploy', file), 'utf8')

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly data?: Readonly<Record<string, string>>
}

interface Deployment extends Manifest {
  readonly spec: {
    readonly replicas: number
    readonly strategy: { readonly type: string }
    readonly template: { readonly spec: PodSpec }
  }
}

interface PodSpec {
  readonly automountServiceAccountToken: boolean
  readonly securityContext: object
  readonly containers: readonly [Container]
  readonly volumes: readonly { readonly name: string }[]
}

interface Container {
  readonly command: readonly string[]
  readonly env?: object[]
  readonly securityContext: object
  readonly volumeMounts: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
  }[]
}

const manifestsIn = (file: string) =>
  parseAllDocuments(read(file)).map((document) => document.toJS() as Manifest)
const deploymentIn = (file: string) =>
  required(manifestsIn(file).find(({ kind }) => kind === 'Deployment')) as Deployment

const watch = deploymentIn('kubernetes/watch.yaml')
const witness = deploymentIn('kubernetes/witness.yaml')
const unitOf = (name: string) => read(`systemd/countersign-${name}.service`)
const startOf = (unit: string) => required(/^ExecStart=\/usr\/bin\/(.*)$/m.exec(unit)?.[1])

let service: TestService
let folder: string
let environment: Readonly<Record<string, string>>
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-deploy-'))
  service = await startTestService({
    configuration: (file) => ({
      ...file,
      reconcile: { sources: [{ vaultLog: at('logs') }], graceMinutes: 0 },
    }),
    grants: [
      {
        grant: 'workload',
        caller: { issuer: 'github', claims: { repository_id: '123456' } },
        may: [{ application: 'events', tenant: 'any-listed', scopes: [ordersAsk.scope] }],
      },
      {
        grant: 'witness',
        caller: {
          issuer: 'cluster',
          claims: { sub: 'system:serviceaccount:countersign-witness:witness' },
        },
        may: [{ audit: 'read' }],
      },
    ],
  })
  const token = await service.callerToken('github')
  expect((await service.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
  for (const name of ['logs', 'state', 'metrics', 'evidence', 'witness', 'own', 'token']) {
    mkdirSync(at(name))
  }
  const records = service.emulator.vaultLog.records().map((record) => JSON.stringify(record))
  writeFileSync(at('logs/PT1H.json'), `${records.join('\n')}\n`)

  const pem = { type: 'spki', format: 'pem' } as const
  const { publicKey: heads } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(at('witness/heads.pem'), heads.export(pem))
  const { privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(at('witness/witness-key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const claims = { sub: 'system:serviceaccount:countersign-witness:witness' }
  writeFileSync(at('token/token'), await service.callerToken('cluster', { claims }))
  const configMap = manifestsIn('kubernetes/witness.yaml').find(({ kind }) => kind === 'ConfigMap')
  writeFileSync(at('witness/witness.yaml'), placed(required(configMap?.data?.['witness.yaml'])))
  environment = { PATH: programsIn(folder) }
})
afterAll(async () => {
  await service.stop()
  rmSync(folder, { recursive: true })
})

/** The longer ones first. */
const placed = (text: string): string =>
  (
    [
      ['/etc/countersign-witness-key', at('witness')],
      ['/etc/countersign-witness', at('witness')],
      ['/etc/countersign-heads', at('witness')],
      ['/etc/countersign', service.folder],
      ['/var/lib/countersign-watch', at('state')],
      ['/var/lib/countersign-metrics', at('metrics')],
      ['/var/lib/countersign-witness', at('own')],
      ['/var/lib/prometheus/node-exporter', at('metrics')],
      ['/var/run/secrets/countersign', at('token')],
      ['/mnt/evidence', at('evidence')],
      ['https://countersign.contoso.example', service.origin],
    ] as const
  ).reduce((all, [there, ours]) => all.replaceAll(there, ours), text)

const run = (words: string, more = '') =>
  runCommand(`timeout --preserve-status 10 ${placed(words)}${more}`, environment)

describe.each([
  ['systemd', () => startOf(unitOf('watch'))],
  ['Kubernetes', () => required(watch.spec.template.spec.containers[0]).command.join(' ')],
])('whoever keeps watch, as %s starts it', (_, command) => {
  test('reads ledger and logs, remembers how far it came, finds nothing, and has that collected', async () => {
    const { code, stdout, stderr } = await run(command(), ' --every 1s')
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '' })
    expect(stderr).toContain('watching: 0 findings')
    expect(existsSync(at('state/reconciled'))).toBe(true)
    const metrics = required(/\S+\.prom/.exec(command())?.[0])
    expect(readFileSync(placed(metrics), 'utf8')).toContain(
      'countersign_reconcile_round_succeeded 1',
    )
    rmSync(at('state/reconciled'))
  }, 120_000)
})

describe.each([
  ['systemd', () => startOf(unitOf('witness'))],
  ['Kubernetes', () => required(witness.spec.template.spec.containers[0]).command.join(' ')],
])('the witness, as %s starts it', (_, command) => {
  test('proves who it is, and follows the ledger to its end', async () => {
    const { code, stdout, stderr } = await run(command(), ' --once')
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/^WITNESSED: up to entry \d+ of the ledger /)
    expect(existsSync(at('own/witnessed.json'))).toBe(true)
  }, 120_000)
})

describe.each([
  ['watch', watch],
  ['witness', witness],
])('the Deployment of %s', (_, { spec, metadata }) => {
  const { template, replicas, strategy } = spec
  const [container] = template.spec.containers

  test('is one process at any time, as nobody, that can write its own volumes alone', () => {
    expect({ replicas, strategy }).toEqual({ replicas: 1, strategy: { type: 'Recreate' } })
    expect(template.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const written = container.volumeMounts.filter(({ readOnly }) => readOnly !== true)
    expect(written.map(({ name }) => name)).toSatisfy((names: string[]) =>
      names.every((name) => ['state', 'evidence', 'metrics'].includes(name)),
    )
  })

  test('mounts each volume, and every place that its command names', () => {
    const mounts = container.volumeMounts.map(({ name }) => name).toSorted()
    expect(template.spec.volumes.map(({ name }) => name).toSorted()).toEqual(mounts)
    const places = container.command.filter((word) => word.startsWith('/'))
    expect(places.length).toBeGreaterThan(0)
    const mounted = container.volumeMounts.map(({ mountPath }) => mountPath)
    expect(places.filter((place) => !mounted.includes(dirname(place)))).toEqual([])
  })

  test.runIf(missingKubectl === undefined)('is one to kubectl, to the last field', () => {
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec }
    // It decodes into the types of Kubernetes itself: what it does not know is not there any more.
    const typed = (manifest: unknown): unknown => {
      const command = ['set', 'env', '--local', '-f', '-', 'SEEN=yes', '-o', 'json']
      const { stdout, stderr } = spawnSync('kubectl', command, {
        input: JSON.stringify(manifest),
        encoding: 'utf8',
      })
      expect(stderr).toBe('')
      return JSON.parse(stdout) as unknown
    }
    expect(typed(deployment)).toMatchObject(deployment)
    const misspelt = JSON.stringify(deployment).replace('runAsNonRoot', 'runAsNoRoot')
    expect(typed(JSON.parse(misspelt))).not.toMatchObject(JSON.parse(misspelt) as object)
  })
})

describe.each(['watch', 'witness'])('the unit of %s', (name) => {
  const analyzed = (text: string, ...args: readonly string[]) => {
    const file = at(`countersign-${name}.service`)
    writeFileSync(file, text.replace('/usr/bin/countersign', process.execPath))
    const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, file], {
      encoding: 'utf8',
    })
    return { status, told: `${stdout}${stderr}` }
  }
  const security = ['security', '--offline=true', '--no-pager', '--threshold=20']

  test.runIf(missingSystemdAnalyze === undefined)(
    'is one to systemd, which finds little that it could do',
    () => {
      const unit = unitOf(name)
      const misspelt = unit.replace('ProtectSystem=', 'ProtectSystems=')
      expect(analyzed(unit, 'verify').told).not.toContain(`countersign-${name}`)
      expect(analyzed(misspelt, 'verify').told).toContain("'ProtectSystems'")
      expect(analyzed(unit, ...security).status).toBe(0)
      const open = unit.replaceAll(/^SystemCallFilter=.*\n/gm, '')
      expect(analyzed(open, ...security).status).toBe(1)
    },
  )
})
