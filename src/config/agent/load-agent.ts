import { dirname, resolve } from 'node:path'
import type { Scope } from '../../base/ids.ts'
import { isTooLongForSocket, socketPathLimits } from '../../base/unix-socket-path.ts'
import { isMap } from '../../yaml/yaml-document.ts'
import type { YamlPart } from '../../yaml/yaml-part.ts'
import { loadDocument, type LoadedDocument } from '../load-document.ts'
import type { NamedFiles } from '../named-files.ts'
import { checkAuthorityFile, checkKeyPair } from '../pem-files.ts'
import { azureDevOpsAudience } from '../shared-audience.ts'
import type {
  AgentConfig,
  AgentIdentityConfig,
  AgentListenConfig,
  AgentShapesConfig,
} from './agent-config.ts'
import { type AgentForm, agentForm, parseResource, resourceForm, shapesForm } from './agent-form.ts'

/**
 * Reads `agent.yaml` and the certificates that it names. What is wrong with them is an answer and never
 * thrown.
 *
 * @param file As it was named: problems repeat it, and paths in it start at its folder.
 */
export const loadAgent = (
  file: string,
  namedFiles: NamedFiles,
): Promise<LoadedDocument<AgentConfig>> =>
  loadDocument(file, {
    noun: 'agent',
    form: agentForm,
    check: async (root) => {
      checkResources(root)
      checkAudience(root)
      checkListen(root, resolve(dirname(file)))
      checkShapes(root)
      await checkFiles(root, dirname(file), namedFiles)
    },
    configFrom: (form, root) => configFrom(form, resourcesIn(root), resolve(dirname(file))),
  })

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
}

function checkAudience(root: YamlPart): void {
  const audience = root.at('service').at('audience')
  const isChosen = audience.value !== undefined && audience.value !== azureDevOpsAudience
  if (!isChosen || root.at('identity').at('kind').value !== 'azure-pipelines') return
  audience.report(
    'audience-of-all',
    `\`service.audience\` cannot be had with \`identity.kind\` azure-pipelines, which give tokens for ${azureDevOpsAudience} and nothing else: remove it, and let the issuer say acceptSharedAudience: true.`,
    'warning',
  )
}

function checkListen(root: YamlPart, folder: string): void {
  const listen = root.at('listen')
  const socket = listen.at('socket')
  for (const part of [listen.at('host'), listen.at('port')]) {
    if (socket.value === undefined || part.value === undefined) continue
    part.report(
      'listen-exclude',
      `\`${part.name}\` and \`listen.socket\` exclude one another: keep the one that programs know.`,
    )
  }
  const openTo = listen.at('openTo')
  if (socket.value === undefined && openTo.value !== undefined) {
    openTo.report(
      'open-to-nothing',
      '`listen.openTo` says who may open `listen.socket`, and there is none: name one, or remove it.',
    )
  }
  const { value: path } = socket
  if (typeof path !== 'string' || !isTooLongForSocket(resolve(folder, path))) return
  socket.report(
    'socket-path-long',
    `\`listen.socket\` is too long: the system takes ${socketPathLimits}.`,
  )
}

/** They give tokens of `resources`. */
const ofResources = ['appService', 'imds', 'arc', 'cloudShell', 'vmExtension'] as const

/** Whoever reaches them is answered. */
const withoutSecret = ['imds', 'cloudShell', 'vmExtension'] as const

/** Programs find them by a URL, and no URL names a socket. */
const byUrlAlone = ['arc', 'cloudShell', 'vmExtension', 'requestUrl'] as const

/** Clients of the extension know no other. */
const vmExtensionPort = 50_342

/** Programs find both by one variable, and could be given only one of them. */
const excluding = [
  ['arc', 'appService', 'IDENTITY_ENDPOINT'],
  ['cloudShell', 'appService', 'MSI_ENDPOINT'],
] as const

function checkShapes(root: YamlPart): void {
  const shapes = root.at('shapes')
  const isOn = (shape: string) => shapes.at(shape).value !== undefined
  if (isMap(shapes.value) && shapes.parts().length === 0) {
    shapes.report('no-shape', '`shapes` must be at least one of them: name what programs know.')
  }
  const first = ofResources.find(isOn)
  if (first !== undefined && root.at('resources').parts().length === 0) {
    root.report(
      'no-resources',
      `\`shapes.${first}\` gives tokens of \`resources\`, and there are none: name what programs ask for.`,
    )
  }
  const isOnSocket = root.at('listen').at('socket').value !== undefined
  for (const shape of byUrlAlone.filter(isOn)) {
    if (!isOnSocket) continue
    shapes
      .at(shape)
      .report(
        'shape-needs-url',
        `\`shapes.${shape}\` is found by a URL, which cannot name \`listen.socket\`: use appService or imds, or listen on loopback.`,
      )
  }
  for (const shape of withoutSecret.filter(isOn)) {
    // Of a socket it is the mode that says who is answered.
    if (isOnSocket || root.at('anyLocalProcess').value === 'accept') continue
    shapes
      .at(shape)
      .report(
        'no-secret',
        `\`shapes.${shape}\` has no secret, so whatever runs on this machine would have its tokens: use appService, or write \`anyLocalProcess: accept\`.`,
      )
  }
  for (const [one, other, variable] of excluding) {
    if (!isOn(one) || !isOn(other)) continue
    shapes
      .at(one)
      .report(
        'shapes-exclude',
        `\`shapes.${one}\` and \`shapes.${other}\` are both ${variable} to programs: keep one of them.`,
      )
  }
  const { value: port } = root.at('listen').at('port')
  if (isOn('vmExtension') && !isOnSocket && port !== vmExtensionPort) {
    shapes
      .at('vmExtension')
      .report(
        'vm-extension-port',
        `\`shapes.vmExtension\` is at port ${vmExtensionPort} to programs, and nowhere else: write \`listen: { port: ${vmExtensionPort} }\`.`,
      )
  }
  const { tokenFile } = shapes.seen(shapesForm)
  const isCertificate = root.at('identity').at('kind').value === 'certificate'
  if (tokenFile === undefined || tokenFile.application !== undefined || !isCertificate) return
  shapes
    .at('tokenFile')
    .report(
      'no-own-token',
      "`shapes.tokenFile` holds the workload's own token, and `identity.kind` is certificate, which has none: name an application, or another identity.",
    )
}

async function checkFiles(root: YamlPart, folder: string, namedFiles: NamedFiles): Promise<void> {
  await checkAuthorityFile(root.at('service').at('caFile'), folder, namedFiles)
  const identity = root.at('identity')
  if (identity.at('kind').value !== 'certificate') return
  await checkKeyPair(identity.at('certFile'), identity.at('keyFile'), folder, namedFiles)
}

type WrittenResources = readonly (readonly [Scope, AgentForm['resources'][Scope]])[]

/** By part, because the record's own type has forgotten what kind of text its keys are. */
function resourcesIn(root: YamlPart): WrittenResources {
  return root
    .at('resources')
    .parts()
    .flatMap(([name, part]) => {
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
    listen: listenFrom(form.listen, folder),
    resources: resources.map(([resource, { scope, ...mapping }]) => ({
      resource,
      scope: scope ?? resource,
      ...mapping,
    })),
    shapes: shapesFrom(form.shapes, folder),
    ...(form.environmentFile === undefined
      ? {}
      : { environmentFile: resolve(folder, form.environmentFile) }),
  }
}

function listenFrom(
  { socket, openTo, ...loopback }: AgentForm['listen'],
  folder: string,
): AgentListenConfig {
  return socket === undefined ? loopback : { socket: resolve(folder, socket), openTo }
}

export function identityFrom(form: AgentForm['identity'], folder: string): AgentIdentityConfig {
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

function shapesFrom(form: AgentForm['shapes'], folder: string): AgentShapesConfig {
  const { requestUrl, tokenFile } = form
  return {
    ...(form.appService === undefined ? {} : { appService: 'on' }),
    ...(form.imds === undefined ? {} : { imds: 'on' }),
    ...(form.arc === undefined ? {} : { arc: form.arc }),
    ...(form.cloudShell === undefined ? {} : { cloudShell: 'on' }),
    ...(form.vmExtension === undefined ? {} : { vmExtension: 'on' }),
    ...(requestUrl === undefined ? {} : { requestUrl }),
    ...(tokenFile === undefined
      ? {}
      : { tokenFile: { ...tokenFile, file: resolve(folder, tokenFile.file) } }),
  }
}
