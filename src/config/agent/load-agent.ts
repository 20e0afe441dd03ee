import { dirname, resolve } from 'node:path'
import { byPlace, type ConfigurationProblem } from '../../base/configuration-problem.ts'
import { frozen } from '../../base/frozen.ts'
import type { Scope } from '../../base/ids.ts'
import { readTextFile } from '../../base/text-file.ts'
import { isMap } from '../../yaml/yaml-document.ts'
import { readYaml, type YamlPart } from '../../yaml/yaml-part.ts'
import type { NamedFiles } from '../named-files.ts'
import { checkAuthorityFile, checkKeyPair } from '../pem-files.ts'
import type { AgentConfig, AgentIdentityConfig } from './agent-config.ts'
import { type AgentForm, agentForm, parseResource, resourceForm } from './agent-form.ts'

export type LoadedAgent =
  | {
      readonly ok: true
      readonly config: AgentConfig
      /** None of them keeps the agent from starting. */
      readonly warnings: readonly ConfigurationProblem[]
    }
  | {
      readonly ok: false
      /** All that could be found, warnings too. */
      readonly problems: readonly ConfigurationProblem[]
    }

/**
 * Reads `agent.yaml` and the certificates that it names. What is wrong with them is an answer and never
 * thrown.
 *
 * @param file As it was named: problems repeat it, and paths in it start at its folder.
 */
export async function loadAgent(file: string, namedFiles: NamedFiles): Promise<LoadedAgent> {
  const problems: ConfigurationProblem[] = []
  const reading = await readTextFile(file)
  if (!reading.ok) {
    const message = `The configuration of the agent cannot be read. ${reading.fault}`
    problems.push({ file, line: 1, rule: 'agent.unreadable', message, severity: 'error' })
    return { ok: false, problems }
  }
  const root = readYaml({ file, text: reading.text }, problems, 'agent')
  const form = root?.read(agentForm)
  if (root !== undefined) {
    checkResources(root)
    await checkFiles(root, dirname(file), namedFiles)
  }
  const inOrder = problems.toSorted(byPlace)
  if (form === undefined || problems.some(({ severity }) => severity === 'error')) {
    return { ok: false, problems: inOrder }
  }
  return {
    ok: true,
    config: frozen(configFrom(form, resourcesIn(root), resolve(dirname(file)))),
    warnings: inOrder,
  }
}

function checkResources(root: YamlPart): void {
  const firstOf = new Map<Scope, string>()
  for (const [written, part] of root.at('resources').maps()) {
    const resource = parseResource(written)
    if (resource === undefined) continue
    const first = firstOf.get(resource)
    firstOf.set(resource, first ?? part.name)
    if (first === undefined) continue
    part.report(
      'resource-twice',
      `\`${part.name}\` and \`${first}\` are one resource to programs: keep one of them.`,
    )
  }
  const shapes = root.at('shapes')
  if (isMap(shapes.value) && shapes.parts().length === 0) {
    shapes.report('no-shape', '`shapes` must be at least one of them: name what programs know.')
  }
  const isWithout = root.at('resources').parts().length === 0
  if (isWithout && shapes.at('appService').value !== undefined) {
    root.report(
      'no-resources',
      '`shapes.appService` gives tokens of `resources`, and there are none: name what programs ask for.',
    )
  }
}

async function checkFiles(root: YamlPart, folder: string, namedFiles: NamedFiles): Promise<void> {
  await checkAuthorityFile(root.at('service').at('caFile'), folder, namedFiles)
  const identity = root.at('identity')
  if (identity.at('kind').value !== 'certificate') return
  await checkKeyPair(identity.at('certFile'), identity.at('keyFile'), folder, namedFiles)
}

type WrittenResources = readonly (readonly [Scope, AgentForm['resources'][Scope]])[]

/** By part, because the record's own type has forgotten what kind of text its keys are. */
function resourcesIn(root: YamlPart | undefined): WrittenResources {
  const written = root?.at('resources').parts() ?? []
  return written.flatMap(([name, part]) => {
    const [resource, form] = [parseResource(name), part.sound(resourceForm)]
    return resource === undefined || form === undefined ? [] : [[resource, form] as const]
  })
}

function configFrom(form: AgentForm, resources: WrittenResources, folder: string): AgentConfig {
  const { url, caFile, audience } = form.service
  return {
    service: {
      origin: url,
      audience: audience ?? url,
      ...(caFile === undefined ? {} : { caFile: resolve(folder, caFile) }),
    },
    identity: identityFrom(form.identity, folder),
    listen: form.listen,
    resources: resources.map(([resource, { scope, ...mapping }]) => ({
      resource,
      scope: scope ?? resource,
      ...mapping,
    })),
    shapes: form.shapes.appService === undefined ? {} : { appService: 'on' },
    ...(form.environmentFile === undefined
      ? {}
      : { environmentFile: resolve(folder, form.environmentFile) }),
  }
}

function identityFrom(form: AgentForm['identity'], folder: string): AgentIdentityConfig {
  switch (form.kind) {
    case 'token-file':
      return { ...form, file: resolve(folder, form.file) }
    case 'certificate':
      return {
        kind: form.kind,
        certFile: resolve(folder, form.certFile),
        keyFile: resolve(folder, form.keyFile),
      }
    case 'github-actions':
    case 'azure-pipelines':
    case 'managed-identity':
      return form
  }
}
