import { z } from 'zod'
import { ControlError, parsed, type ControlRequest, type ControlRoute } from '../control.ts'
import type { World, WorldCollectionRule } from '../world.ts'
import type { LogsIngestion } from './logs-ingestion.ts'

const publishersSchema = z.strictObject({ principals: z.array(z.string()) })

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
      const names = parsed(publishersSchema, request.body).principals
      const unknown = names.filter((name) => !principals.some((one) => one.name === name))
      if (unknown.length > 0) throw new ControlError(404, `no principal ${unknown.join(', ')}`)
      ingestion.letPublish(immutableId, names)
    },
  },
]

function ruleIn(
  rules: readonly WorldCollectionRule[],
  { parameters: { rule: wanted = '' } }: ControlRequest,
): WorldCollectionRule {
  const rule = rules.find(({ name }) => name === wanted)
  if (rule !== undefined) return rule
  const names = rules.map(({ name }) => name).join(', ')
  throw new ControlError(404, `no data collection rule '${wanted}': there is ${names}`)
}
