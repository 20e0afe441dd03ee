import { z } from 'zod'
import { ControlError, parsed, type ControlRequest, type ControlRoute } from '../control.ts'
import type { World, WorldCollectionRule } from '../world.ts'
import type { LogsIngestion } from './logs-ingestion.ts'
import type { LogsQuery } from './logs-query.ts'
import type { WorkspaceTables } from './workspace-tables.ts'

const principalsSchema = z.strictObject({ principals: z.array(z.string()) })

export const monitorRoutes = (
  { collectionRules, principals }: World,
  ingestion: LogsIngestion,
): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/collection-rules',
    summary: 'the data collection rules: where they are, and who may send to them',
    handle: () =>
      collectionRules.map(({ name, immutableId, streams }) => ({
        name,
        immutableId,
        streams: streams.map((stream) => stream.name),
        publishers: ingestion.publishersOf(immutableId),
      })),
  },
  {
    method: 'GET',
    path: '/collection-rules/{rule}/rows',
    summary: 'the rows that a rule has let through, in the order of arrival; the newest: ?last=10',
    handle: (request) => {
      const { name } = ruleIn(collectionRules, request)
      const rows = ingestion
        .arrivals()
        .filter(({ rule }) => rule === name)
        .map(({ stream, row }) => ({ stream, row }))
      const last = Number(request.query.get('last') ?? rows.length)
      if (!Number.isSafeInteger(last) || last < 0) {
        throw new ControlError(400, 'last: a whole number that is not negative')
      }
      return {
        rows: rows.slice(rows.length - Math.min(last, rows.length)),
        forgotten: ingestion.forgotten(),
      }
    },
  },
  {
    method: 'POST',
    path: '/collection-rules/{rule}/publishers',
    summary: 'who may send to a rule from now on, and nobody else: {"principals": ["countersign"]}',
    handle: (request) => {
      const { immutableId } = ruleIn(collectionRules, request)
      ingestion.letPublish(immutableId, principalsIn(request, principals))
    },
  },
]

export const workspaceRoutes = (
  { workspaces, principals }: World,
  query: LogsQuery,
  tables: Pick<WorkspaceTables, 'heldBack' | 'flush'>,
): readonly ControlRoute[] => [
  {
    method: 'GET',
    path: '/workspaces',
    summary:
      'the workspaces of Log Analytics: their ids, who may read them, and how many rows are still to come',
    handle: () => ({
      workspaces: workspaces.map(({ name, id }) => ({ name, id, readers: query.readersOf(id) })),
      heldBack: tables.heldBack(),
    }),
  },
  {
    method: 'POST',
    path: '/workspaces/flush',
    summary: 'delivers every row that is held back from their tables',
    handle: () => {
      tables.flush()
    },
  },
  {
    method: 'POST',
    path: '/workspaces/{workspace}/readers',
    summary:
      'who may read a workspace from now on, and nobody else: {"principals": ["countersign"]}',
    handle: (request) => {
      const { workspace: wanted = '' } = request.parameters
      const workspace = workspaces.find(({ name }) => name === wanted)
      if (workspace === undefined) throw new ControlError(404, `no workspace '${wanted}'`)
      query.letRead(workspace.id, principalsIn(request, principals))
    },
  },
]

/** @throws ControlError where one of them is not in the world. */
function principalsIn(
  { body }: ControlRequest,
  principals: World['principals'],
): readonly string[] {
  const names = parsed(principalsSchema, body).principals
  const unknown = names.filter((name) => !principals.some((one) => one.name === name))
  if (unknown.length > 0) throw new ControlError(404, `no principal ${unknown.join(', ')}`)
  return names
}

function ruleIn(
  rules: readonly WorldCollectionRule[],
  { parameters: { rule: wanted = '' } }: ControlRequest,
): WorldCollectionRule {
  const rule = rules.find(({ name }) => name === wanted)
  if (rule !== undefined) return rule
  const names = rules.map(({ name }) => name).join(', ')
  throw new ControlError(404, `no data collection rule '${wanted}': there is ${names}`)
}
