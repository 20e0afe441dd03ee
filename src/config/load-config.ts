import { dirname, isAbsolute, join, resolve } from 'node:path'
import { byPlace, type ConfigurationProblem } from '../base/configuration-problem.ts'
import { frozen } from '../base/frozen.ts'
import { isLoopback } from '../base/loopback.ts'
import type { TenantId } from '../base/ids.ts'
import { readTextFile } from '../base/text-file.ts'
import { isMap } from '../yaml/yaml-document.ts'
import { readYaml, type Nouns, type YamlPart } from '../yaml/yaml-part.ts'
import { applicationsFrom, checkApplications, type TenantsFromFiles } from './applications.ts'
import { auditFrom, checkAudit } from './audit.ts'
import { certificatesFrom, checkCertificates } from './certificates.ts'
import { cloudFrom } from './cloud.ts'
import type { Config } from './config.ts'
import { configForm, type ConfigForm } from './config-form.ts'
import { expectFrom } from './expect.ts'
import { checkIngestion, exportFrom } from './export.ts'
import { checkGovernor } from './governor.ts'
import { checkHeads, headsFrom } from './heads.ts'
import { askedOfClients, checkIssuers, issuersFrom } from './issuers.ts'
import { checkLedger, checkUrlFile, ledgerFrom } from './ledger.ts'
import { checkListen, hostIn, listenFrom } from './listen.ts'
import { checkMachines, machinesFrom } from './machines.ts'
import { outlineOf, type ConfigOutline } from './config-outline.ts'
import type { NamedFiles } from './named-files.ts'
import { checkPemFiles } from './pem-files.ts'
import { checkReconcile, reconcileFrom } from './reconcile.ts'
import { parseTenantsFile } from './tenants-file.ts'
import { checkTokenCache, tokenCacheFrom } from './token-cache.ts'
import { checkWrappingKey } from './wrapping-key.ts'

export type LoadedConfig =
  | {
      readonly ok: true
      readonly config: Config
      /** None of them keeps the service from starting. */
      readonly warnings: readonly ConfigurationProblem[]
      readonly files: readonly string[]
    }
  | {
      readonly ok: false
      /** What it was read from, as far as that is known: the file itself, and those that it names. */
      readonly files: readonly string[]
      /** All that could be found, warnings too. */
      readonly problems: readonly ConfigurationProblem[]
      /** What could be read all the same; absent when nothing could. */
      readonly outline?: ConfigOutline
    }

/**
 * Reads `countersign.yaml` and the files with tenants, certificates, keys and URLs that it names. What is
 * wrong with them is an answer and never thrown.
 *
 * @param file As the operator named it: problems repeat it, and paths in it start at its folder.
 * @param nowSeconds Seconds since the Unix epoch: certificates of CAs have a time.
 */
export async function loadConfig(
  file: string,
  nowSeconds: number,
  namedFiles: NamedFiles = 'may-be-elsewhere',
): Promise<LoadedConfig> {
  const problems: ConfigurationProblem[] = []
  const root = await readRoot(file, problems)
  if (root === undefined) return { ok: false, problems, files: [resolve(file)] }

  const folder = resolve(dirname(file))
  const form = root.read(configForm)
  checkTogether(root)
  const tenants = await readTenantsFiles(root.at('applications'), dirname(file), problems)
  await checkPemFiles(root, dirname(file), nowSeconds, namedFiles)
  await checkUrlFile(root.at('ledger'), dirname(file), namedFiles)
  await checkAudit(root.at('audit'), dirname(file), namedFiles)
  const inOrder = problems.toSorted(byPlace)
  const files = [resolve(file), ...filesNamedIn(root).map((named) => resolve(folder, named))]
  if (form === undefined || problems.some(({ severity }) => severity === 'error')) {
    const outline = isMap(root.value) ? { outline: outlineOf(root, folder, tenants) } : {}
    return { ok: false, problems: inOrder, files, ...outline }
  }
  return { ok: true, config: frozen(configFrom(form, folder, tenants)), warnings: inOrder, files }
}

/** Those whose contents are part of what is loaded. */
function filesNamedIn(root: YamlPart): readonly string[] {
  const tls = root.at('listen').at('tls')
  const parts = [
    tls.at('certFile'),
    tls.at('keyFile'),
    root.at('audit').at('oidc').at('clientSecretFile'),
    ...root
      .at('issuers')
      .maps()
      .map(([, issuer]) => issuer.at('caFile')),
    ...root
      .at('applications')
      .maps()
      .map(([, application]) => application.at('tenantsFile')),
  ]
  return parts.map(({ value }) => value).filter((value) => typeof value === 'string')
}

async function readRoot(
  file: string,
  problems: ConfigurationProblem[],
): Promise<YamlPart | undefined> {
  const reading = await readTextFile(file)
  if (reading.ok) return readYaml({ file, text: reading.text }, problems, 'config', nouns)
  const message = `The configuration cannot be read. ${reading.fault}`
  problems.push({ file, line: 1, rule: 'config.unreadable', message, severity: 'error' })
  return undefined
}

/** What each part must be in view of the others; parts that are broken by themselves are left out. */
function checkTogether(root: YamlPart): void {
  const { cloud: cloudAsWritten } = root.seen(configForm)
  const cloud = cloudAsWritten === undefined ? undefined : cloudFrom(cloudAsWritten)
  const certificates = new Set(
    root
      .at('certificates')
      .parts()
      .map(([name]) => name),
  )
  checkListen(root.at('listen'))
  checkMachines(root.at('listen'), root.at('machines'))
  checkCredential(root)
  checkCertificates(root.at('certificates'), cloud)
  checkApplications(root.at('applications'), certificates)
  checkIssuers(root.at('issuers'), cloud, root.at('listen'))
  checkLedger(root.at('ledger'))
  checkTokenCache(root.at('tokenCache'))
  checkWrappingKey(root.at('tokenCache').at('wrappingKey'), root.at('certificates'), cloud)
  checkHeads(root, cloud)
  checkGovernor(root.at('governor'), cloud)
  checkIngestion(root.at('export').at('logAnalytics'), cloud)
  checkReconcile(root.at('reconcile'), cloud)
}

/** Somebody's own sign-in is for trying things out, where nobody else can use it through us. */
function checkCredential(root: YamlPart): void {
  const { credential } = root.seen(configForm)
  const host = hostIn(root.at('listen'))
  if (credential !== 'azure-cli' || host === undefined || isLoopback(host)) return
  root
    .at('credential')
    .report(
      'azure-cli',
      '`credential: azure-cli` is your own sign-in, and `listen.host` lets others use it: listen on 127.0.0.1, or use managed-identity or workload-identity.',
    )
}

async function readTenantsFiles(
  applications: YamlPart,
  folder: string,
  problems: ConfigurationProblem[],
): Promise<TenantsFromFiles> {
  const byApplication = new Map<string, readonly TenantId[]>()
  for (const [name, application] of applications.maps()) {
    const part = application.at('tenantsFile')
    if (typeof part.value !== 'string') continue
    const file = isAbsolute(part.value) ? part.value : join(folder, part.value)
    const reading = await readTextFile(file)
    if (!reading.ok) {
      part.report('tenants-file', `The file of \`${part.name}\` cannot be read. ${reading.fault}`)
      continue
    }
    const tenants = parseTenantsFile({ file, text: reading.text }, problems)
    if (tenants !== undefined) byApplication.set(name, tenants)
  }
  return byApplication
}

function configFrom(form: ConfigForm, folder: string, tenants: TenantsFromFiles): Config {
  const { publicUrl, credential, ledger, heads, tokenCache, governor } = form
  const cloud = cloudFrom(form.cloud)
  const issuers = issuersFrom(form.issuers, publicUrl, folder, cloud).toSorted(byName)
  const listen = listenFrom(form.listen, folder, askedOfClients(issuers))
  return {
    publicUrl,
    listen,
    machines: machinesFrom(form.machines, listen),
    cloud,
    credential,
    trust: { caFiles: form.trust.caFiles.map((file) => resolve(folder, file)) },
    certificates: certificatesFrom(form.certificates).toSorted(byName),
    applications: applicationsFrom(form.applications, tenants).toSorted(byName),
    issuers,
    grants: { folder: resolve(folder, form.grants) },
    ledger: ledgerFrom(ledger, folder),
    heads: headsFrom(heads, folder, cloudFrom(cloud)),
    tokenCache: tokenCacheFrom(tokenCache),
    governor,
    export: exportFrom(form.export, cloud),
    audit: auditFrom(form.audit, folder),
    expect: expectFrom(form.expect),
    reconcile: reconcileFrom(form.reconcile, folder, cloud),
  }
}

const byName = (a: { readonly name: string }, b: { readonly name: string }) =>
  a.name < b.name ? -1 : 1

const nounOfSection: ReadonlyMap<string | number, string> = new Map([
  ['listen', 'listen'],
  ['machines', 'machines'],
  ['cloud', 'cloud'],
  ['trust', 'trust'],
  ['ledger', 'ledger'],
  ['heads', 'heads'],
  ['tokenCache', 'token-cache'],
  ['governor', 'governor'],
  ['export', 'export'],
  ['audit', 'audit'],
  ['expect', 'expect'],
  ['reconcile', 'reconcile'],
])

const nounOfEntries: ReadonlyMap<string | number, string> = new Map([
  ['certificates', 'certificate'],
  ['applications', 'application'],
  ['issuers', 'issuer'],
])

const nouns: Nouns = ([section], step) =>
  section === undefined ? nounOfSection.get(step) : nounOfEntries.get(section)
