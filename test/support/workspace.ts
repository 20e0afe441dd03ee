import type { TokenCredential } from '@azure/core-auth'
import { Agent } from 'undici'
import type { World } from '../../src/emulator/world.ts'
import {
  createTableClient,
  type TableClient,
  type TablePlace,
} from '../../src/reconcile/workspace/table-client.ts'
import type { WorkspaceTable } from '../../src/reconcile/workspace/workspace-query.ts'
import { createUndiciHttpClient } from '../../src/vault-access/undici-http-client.ts'
import { defaultWorld } from './emulated-entra.ts'
import type { TestEmulator } from './emulator.ts'
import { required } from './required.ts'

export const queryAudience = 'https://api.loganalytics.io'

/** The workspace of the default world. */
export const workspaceId = required(defaultWorld.workspaces[0]).id

/**
 * The default world without what takes seconds to make. Tokens for queries outlive what tests let pass: the SDK tells by
 * the machine's clock when it needs another.
 */
export const workspaceWorld: World = {
  ...defaultWorld,
  vaults: [],
  applications: [],
  resources: defaultWorld.resources.map((resource) =>
    resource.uris.includes(queryAudience) ? { ...resource, tokenSeconds: 90 * 86_400 } : resource,
  ),
}

export interface WorkspaceReader {
  readonly table: TableClient
  close(): Promise<void>
}

export interface ReaderOptions extends Partial<TablePlace> {
  readonly principal?: string
  /** Instead of the principal's. */
  readonly credential?: TokenCredential
  readonly answerBytesMax?: number
  readonly stop?: AbortSignal
}

/** The real adapter, for a table of the emulator, as one of its principals. */
export async function readerOf(
  emulator: TestEmulator,
  table: WorkspaceTable,
  { principal = 'countersign', credential, answerBytesMax, stop, ...different }: ReaderOptions = {},
): Promise<WorkspaceReader> {
  const agent = new Agent({
    connect: { ca: emulator.ca },
    ...(answerBytesMax === undefined ? {} : { maxResponseSize: answerBytesMax }),
  })
  const place = {
    workspace: workspaceId,
    table,
    endpoint: emulator.endpoints.logsQuery,
    audience: queryAudience,
    ...different,
  }
  const client = await createTableClient(place, {
    credential: credential ?? emulator.credential(principal, queryAudience),
    httpClient: createUndiciHttpClient(agent),
    stop: stop ?? new AbortController().signal,
  })
  return { table: client, close: () => agent.close() }
}
