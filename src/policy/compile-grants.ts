import { byPlace, type ConfigurationProblem } from '../base/configuration-problem.ts'
import { claimRulesFrom } from '../yaml/forms.ts'
import type { GrantName, TenantId } from '../base/ids.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { readYaml, type YamlPart } from '../yaml/yaml-part.ts'
import { permissionsFrom, type Grant, type Permission } from './grant.ts'
import { checkGrant, knownFrom, type GrantSurroundings, type Known } from './grant-checks.ts'
import type { GrantFile } from './grant-folder.ts'
import { anyListed, grantForm, type GrantForm } from './grant-form.ts'
import { grantsText } from './grants-text.ts'
import { createPolicy, type Policy } from './policy.ts'

export interface CompiledGrants {
  /** What the sound files allow together. */
  readonly policy: Policy
  /** By file and line. Files with an error are in no part of the policy. */
  readonly problems: readonly ConfigurationProblem[]
  /** How many files grant nothing because of an error. */
  readonly broken: number
  /** By grant, base64url of SHA-256 over its file; of the sound ones. */
  readonly fingerprints: ReadonlyMap<GrantName, string>
  /** base64url of SHA-256 over names and texts of all files, broken ones too. */
  readonly sha256: string
  /** All of them, broken ones too: under another configuration they may say something else. */
  readonly files: readonly GrantFile[]
}

/**
 * Makes a policy of grant files. Each stands alone: one with an error grants nothing, and the others
 * apply. Two that bear the same name are both in error, because the ledger could not tell which of
 * them allowed something. The order of the files decides nothing. Never throws.
 *
 * @param nowSeconds To warn of grants that have ended; the policy itself asks again each time.
 */
export function compileGrants(
  files: readonly GrantFile[],
  surroundings: GrantSurroundings,
  nowSeconds: number,
): CompiledGrants {
  const known = knownFrom(surroundings)
  const readings = files.map((file) => readGrant(file, known, nowSeconds))
  reportSameNames(readings)
  const sound = readings.filter(isSound)
  return {
    policy: createPolicy(sound.map(({ form }) => grantFrom(form, known))),
    problems: readings.flatMap(({ problems }) => problems).toSorted(byPlace),
    broken: readings.length - sound.length,
    fingerprints: new Map(sound.map(({ form, text }) => [form.grant, sha256Base64url(text)])),
    sha256: sha256Base64url(grantsText(files)),
    files,
  }
}

/** One file on its way: what is wrong so far, and its grant as far as that could be read. */
interface GrantReading {
  readonly problems: ConfigurationProblem[]
  readonly root?: YamlPart | undefined
  readonly name?: GrantName | undefined
  readonly form?: GrantForm | undefined
  readonly text?: string | undefined
}

type SoundReading = GrantReading & { readonly form: GrantForm; readonly text: string }

function readGrant(file: GrantFile, known: Known, nowSeconds: number): GrantReading {
  const problems: ConfigurationProblem[] = []
  if (!file.ok) {
    const message = `The grant cannot be read and allows nothing. ${file.fault}`
    problems.push({
      file: file.file,
      line: 1,
      rule: 'grant.unreadable',
      message,
      severity: 'error',
    })
    return { problems }
  }
  const root = readYaml(file, problems, 'grant')
  if (root === undefined) return { problems }
  const form = root.read(grantForm)
  checkGrant(root, known, nowSeconds)
  return { problems, root, form, name: root.seen(grantForm).grant, text: file.text }
}

function reportSameNames(readings: readonly GrantReading[]): void {
  for (const [name, same] of Map.groupBy(readings, (reading) => reading.name)) {
    if (name === undefined || same.length === 1) continue
    for (const { root } of same) {
      const message = `${same.length} files are called ${name}, and none of them allows anything: give each a name of its own.`
      root?.at('grant').report('same-name', message)
    }
  }
}

const isSound = (reading: GrantReading): reading is SoundReading =>
  reading.form !== undefined &&
  reading.text !== undefined &&
  reading.problems.every(({ severity }) => severity === 'warning')

function grantFrom(form: GrantForm, known: Known): Grant {
  const { grant, caller, may, limits, until, isolate, longLived, mode } = form
  return Object.freeze({
    name: grant,
    issuer: caller.issuer,
    rules: claimRulesFrom(caller.claims),
    permissions: permissionsFrom(
      may.flatMap((item) => ('application' in item ? permissionFrom(item, known) : [])),
    ),
    ...(may.some((item) => 'admin' in item) ? { mayRevoke: true } : {}),
    ...(may.some((item) => 'audit' in item) ? { mayAudit: true } : {}),
    ...(limits === undefined ? {} : { limits: limitsFrom(limits) }),
    ...(until === undefined ? {} : { untilSeconds: until }),
    ...(mode === 'enforced' ? {} : { mode }),
    ...(isolate ? { isolate } : {}),
    ...(longLived ? { longLived } : {}),
  })
}

const limitsFrom = ({ perMinute, perCallerPerMinute }: NonNullable<GrantForm['limits']>) => ({
  ...(perMinute === undefined ? {} : { perMinute }),
  ...(perCallerPerMinute === undefined ? {} : { perCallerPerMinute }),
})

/** Empty where an item depends on something that is not known. */
function permissionFrom(
  item: Extract<GrantForm['may'][number], { application: unknown }>,
  known: Known,
): readonly Permission[] {
  const { application: name, scopes, assertion } = item
  const application = known.applications.get(name)
  const tenants = tenantsFrom(item.tenant, application?.tenants ?? new Set())
  if (scopes !== undefined) return [{ want: 'token', application: name, tenants, scopes }]
  if (assertion === undefined || application?.handOut !== true) return []
  const { lifetimeSeconds } = assertion
  return [{ want: 'assertion', application: name, tenants, lifetimeSeconds }]
}

function tenantsFrom(
  tenant: TenantId | typeof anyListed,
  listed: ReadonlySet<TenantId>,
): ReadonlySet<TenantId> {
  if (tenant === anyListed) return listed
  return new Set(listed.has(tenant) ? [tenant] : [])
}
