import { z } from 'zod'
import type { DirectoryClient, DirectoryTenant } from './directory.ts'
import type { AadstsCode, EntraRefusal } from './refusal.ts'

/**
 * What administrators of a tenant, and Entra itself, hold against a client that proves itself well.
 * Lasts until it is lifted, as the real ones do.
 */
export const blockSchema = z.strictObject({
  /** Name of the tenant in the seed file. */
  tenant: z.string(),
  /** Name of the application or principal in the seed file. */
  client: z.string(),
  reason: z.enum([
    'application-disabled',
    'conditional-access',
    'assignment-required',
    'request-loop',
    'tenant-throttled',
  ]),
})

export type Block = z.output<typeof blockSchema>

export interface Blocks {
  put(block: Block): void
  lift(block: Block): void
  clear(): void
  list(): readonly Block[]
  /** What a client is told that has proven itself; undefined where nothing is held against it. */
  refusal(tenant: DirectoryTenant, client: DirectoryClient): EntraRefusal | undefined
}

export function createBlocks(): Blocks {
  let blocks: readonly Block[] = []
  const without = ({ tenant, client, reason }: Block) =>
    blocks.filter((one) => one.tenant !== tenant || one.client !== client || one.reason !== reason)
  return {
    put: (block) => {
      blocks = [...without(block), block]
    },
    lift: (block) => {
      blocks = without(block)
    },
    clear: () => {
      blocks = []
    },
    list: () => blocks,
    refusal: (tenant, client) => {
      const block = blocks.find((one) => one.tenant === tenant.name && one.client === client.name)
      if (block === undefined) return undefined
      const [code, text] = words[block.reason]
      return { code, text: text.replace('{client}', `'${client.clientId}'(${client.name})`) }
    },
  }
}

const words: Record<Block['reason'], readonly [code: AadstsCode, text: string]> = {
  'application-disabled': [7000112, 'Application {client} is disabled.'],
  'conditional-access': [
    53003,
    'Access has been blocked by Conditional Access policies. The access policy does not allow ' +
      'token issuance.',
  ],
  'assignment-required': [
    501051,
    'Application {client} is not assigned to a role for the application.',
  ],
  'request-loop': [
    50196,
    'The server terminated an operation because it encountered a client request loop. Please ' +
      'contact your app vendor.',
  ],
  'tenant-throttled': [90055, 'The tenant has exceeded its limit of requests.'],
}
