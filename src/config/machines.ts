import { z } from 'zod'
import { text, wholeNumber } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { ListenConfig, MachinesConfig } from './config.ts'
import { isForThisMachineAlone, listenSeen } from './listen.ts'

const form = z.strictObject({
  host: text('a host name or an IP address')
    .default('127.0.0.1')
    .describe('Name or address to bind. Whoever reaches it may read: nobody is asked for a token.'),
  port: wholeNumber(0, 65535).default(9464).describe('TCP port; 0 takes any free one.'),
})

export const machinesForm = form
  .optional()
  .describe(
    'A listener of its own for probes and scrapers, plain http: /metrics, /readyz with its reasons, /healthz.',
  )

export type MachinesForm = z.output<typeof machinesForm>

/** Probes and scrapers are few, and theirs is not the place where ten thousand wait. */
const connectionsMax = 100

const everyAddress: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

export function checkMachines(listen: YamlPart, machines: YamlPart): void {
  const callers = listenSeen(listen)
  if (callers === undefined) return
  if (machines.value === undefined) {
    if (!isForThisMachineAlone(callers)) reportNowhere(listen)
    return
  }
  const { host, port } = machines.seen(form)
  if (host === undefined || port === undefined || port === 0 || port !== callers.port) return
  if (host !== callers.host && ![host, callers.host].some((one) => everyAddress.has(one))) return
  machines
    .at('port')
    .report(
      'same-port',
      '`machines.port` is the port of `listen`, and their addresses overlap: give one of them another.',
    )
}

/** @param listen Where callers connect. */
export function machinesFrom(machines: MachinesForm, listen: ListenConfig): MachinesConfig {
  if (machines !== undefined) {
    const { host, port } = machines
    return {
      at: 'own-listener',
      listen: { host, port, connectionsMax, transport: { kind: 'plain' } },
    }
  }
  const proxied = listen.transport.kind === 'behind-proxy'
  return { at: isForThisMachineAlone({ ...listen, proxied }) ? 'callers-listener' : 'nowhere' }
}

function reportNowhere(listen: YamlPart): void {
  listen.report(
    'no-machines',
    '`listen` is for strangers too, and `/metrics` and the reasons of `/readyz` are not, so they are served nowhere: add `machines: { host: 127.0.0.1, port: 9464 }`, or another address that only probes and scrapers reach.',
    'warning',
  )
}
