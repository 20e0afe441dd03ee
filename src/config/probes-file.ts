import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import {
  type ApplicationName,
  parseApplicationName,
  parseProbeName,
  type ProbeName,
  type Scope,
  type TenantId,
} from '../base/ids.ts'
import { readTextFile } from '../base/text-file.ts'
import {
  entriesOf,
  nameOf,
  namedMapOf,
  oneOf,
  scopeForm,
  tenantIdForm,
  text,
  wholeNumber,
} from '../yaml/forms.ts'
import { readYaml, type YamlPart } from '../yaml/yaml-part.ts'

/** One thing that a running service must grant, or must refuse. */
export interface Probe {
  readonly name: ProbeName
  readonly expect: 'granted' | 'refused'
  /** Of the problem that it must be refused with; absent: any of those that say no to the caller. */
  readonly code?: string
  /** Absolute; absent: whatever token the process that asks has. */
  readonly tokenFile?: string
  readonly application: ApplicationName
  readonly tenant: TenantId
  readonly want:
    | { readonly want: 'token'; readonly scope: Scope }
    | { readonly want: 'assertion'; readonly lifetimeSeconds?: number }
}

const probeForm = z.strictObject({
  expect: oneOf(['granted', 'refused']),
  code: text('the code of a problem, such as not_granted', /^[a-z_]+$/).exactOptional(),
  tokenFile: text('the path of a file with the token of a caller').exactOptional(),
  application: nameOf('an application', parseApplicationName),
  tenant: tenantIdForm,
  scope: scopeForm.optional(),
  assertion: z.strictObject({ lifetimeSeconds: wholeNumber(1, 600).exactOptional() }).optional(),
})

const probesForm = z.strictObject({
  probes: namedMapOf(parseProbeName, probeForm, 'a map with at least one probe'),
})

export type LoadedProbes =
  | { readonly ok: true; readonly probes: readonly Probe[] }
  | { readonly ok: false; readonly problems: readonly ConfigurationProblem[] }

/** Reads a file of probes. What is wrong with it is an answer and never thrown. */
export async function loadProbes(file: string): Promise<LoadedProbes> {
  const problems: ConfigurationProblem[] = []
  const reading = await readTextFile(file)
  if (!reading.ok) {
    const message = `The probes cannot be read. ${reading.fault}`
    return {
      ok: false,
      problems: [{ file, line: 1, rule: 'probes.unreadable', message, severity: 'error' }],
    }
  }
  const root = readYaml({ file, text: reading.text }, problems, 'probe')
  const form = root?.read(probesForm)
  for (const [, part] of root?.at('probes').maps() ?? []) checkProbe(part)
  if (form === undefined || problems.length > 0) return { ok: false, problems }
  return {
    ok: true,
    probes: entriesOf(form.probes).map((entry) => probeFrom(entry, dirname(file))),
  }
}

function checkProbe(part: YamlPart): void {
  const { expect, code } = part.seen(probeForm)
  if ((part.at('scope').value === undefined) === (part.at('assertion').value === undefined)) {
    const message = `\`${part.name}\` must have either \`scope\` (a token) or \`assertion\`.`
    part.report('scope-or-assertion', message)
  }
  if (expect === 'granted' && code !== undefined) {
    const message = `\`${part.name}.code\` is of a refusal, and this is to be granted: remove it.`
    part.at('code').report('code-of-granted', message)
  }
}

function probeFrom(
  [name, { tokenFile, scope, assertion, ...probe }]: readonly [
    ProbeName,
    z.output<typeof probeForm>,
  ],
  folder: string,
): Probe {
  return {
    name,
    ...probe,
    ...(tokenFile === undefined ? {} : { tokenFile: resolve(folder, tokenFile) }),
    want: scope === undefined ? { want: 'assertion', ...assertion } : { want: 'token', scope },
  }
}
