import type { ServerCertificate } from '../certificate-authority.ts'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { SignIn } from '../entra-log/sign-in.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import { jsonReply } from '../json-reply.ts'
import { listenHttps } from '../listener.ts'
import type { SeededRandom } from '../random.ts'
import { createSigningKeys, type SigningKeys } from '../signing-keys.ts'
import type { World } from '../world.ts'
import { createAccessTokens, type AccessTokens } from './access-tokens.ts'
import {
  createApplicationCertificates,
  type ApplicationCertificates,
} from './application-certificates.ts'
import { createBlocks, type Blocks } from './blocks.ts'
import { createDials, type Dials } from './dials.ts'
import { createDirectory, type Directory } from './directory.ts'
import { generateEntraKey } from './entra-keys.ts'
import type { FederatedIssuers } from './federated-assertion.ts'
import { instanceDiscovery, keysReply, metadataReply, type EndpointVersion } from './discovery.ts'
import { createExchangeLog, type ExchangeLog } from './exchange-log.ts'
import { createReplayMemory } from './replay-memory.ts'
import { createTokenEndpoint } from './token-endpoint.ts'
import { errorReply, traceFrom } from './token-reply.ts'

/** A small Entra ID: every tenant of the world below one origin. */
export interface Entra {
  readonly service: EmulatedService
  readonly directory: Directory
  readonly accessTokens: AccessTokens
  /** That sign them: whoever has these makes any token of it. */
  readonly keys: SigningKeys
  /** Empty at first: whoever knows the vaults registers what the seed file says. */
  readonly certificates: ApplicationCertificates
  readonly exchanges: ExchangeLog
  readonly dials: Dials
  readonly blocks: Blocks
}

export interface EntraDeps {
  readonly origin: string
  readonly world: World
  readonly clock: EmulatorClock
  /** Made with `generateEntraKey`. */
  readonly keys: SigningKeys
  readonly faults: FaultList
  readonly random: SeededRandom
  /** Whose tokens may stand for clients. */
  readonly federatedIssuers: FederatedIssuers
  /** Told of each sign-in, for the log of its tenant. */
  readonly signedIn: (signIn: SignIn) => void
}

/** Lets it listen on a port of its own, with new keys. */
export async function startEntra({
  tls,
  started,
  ...deps
}: Omit<EntraDeps, 'origin' | 'keys'> & {
  readonly tls: ServerCertificate
  /** Takes the listener over. */
  readonly started: AsyncDisposableStack
}): Promise<{ readonly entra: Entra; readonly authorityOrigin: string }> {
  const listener = started.adopt(await listenHttps({ tls }), (part) => part.close())
  const { origin } = listener
  const keys = await createSigningKeys(() => generateEntraKey(deps.clock))
  const entra = createEntra({ ...deps, origin, keys })
  listener.serve(entra.service)
  return { entra, authorityOrigin: origin }
}

export function createEntra(deps: EntraDeps): Entra {
  const { origin, world, clock, keys, faults, random, federatedIssuers, signedIn } = deps
  const directory = createDirectory(world)
  const accessTokens = createAccessTokens({ origin, clock, keys })
  const certificates = createApplicationCertificates()
  const exchanges = createExchangeLog()
  const dials = createDials()
  const blocks = createBlocks()
  const tokenEndpoint = createTokenEndpoint({
    origin,
    clock,
    directory,
    certificates,
    accessTokens,
    federatedIssuers,
    dials,
    blocks,
    replays: createReplayMemory(),
    exchanges,
    signedIn,
    faults,
    random,
  })

  const metadata = (request: EmulatedRequest, tenantText: string, version: EndpointVersion) => {
    if (tenantText === 'common') return metadataReply(origin, tenantText, version)
    const tenant = directory.tenant(tenantText)
    return tenant.ok
      ? metadataReply(origin, tenant.value.id, version)
      : errorReply(origin, traceFrom(request, clock.nowSeconds()), tenant.refusal)
  }
  const jwks = (request: EmulatedRequest, version: EndpointVersion) => {
    const fault = faults.strike('jwks', `${request.method} ${request.path}`)
    const words: FaultWords = {
      throttled: () => jsonReply(429, {}, { 'retry-after': '1' }),
      serverError: (status) => jsonReply(status, {}),
    }
    const reply = () => keysReply(origin, accessTokens.jwks(), version)
    return replyInstead(fault, words) ?? replyAfter(fault, words, reply())
  }
  const instances = (request: EmulatedRequest) => {
    const answer = instanceDiscovery(origin, request.query.get('authorization_endpoint'))
    return 'kind' in answer
      ? answer
      : errorReply(origin, traceFrom(request, clock.nowSeconds()), answer)
  }

  const service = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    const [, tenant = '', ...rest] = request.path.split('/')
    switch (rest.join('/')) {
      case 'oauth2/v2.0/token':
        return tokenEndpoint(request, tenant)
      case 'v2.0/.well-known/openid-configuration':
        return metadata(request, tenant, 'v2')
      case '.well-known/openid-configuration':
        return metadata(request, tenant, 'v1')
      case 'discovery/v2.0/keys':
        return jwks(request, 'v2')
      case 'discovery/keys':
        return jwks(request, 'v1')
      case 'discovery/instance':
        return instances(request)
      default:
        return { kind: 'answer', status: 404, headers: {}, body: Buffer.alloc(0) }
    }
  }
  return { service, directory, accessTokens, keys, certificates, exchanges, dials, blocks }
}
