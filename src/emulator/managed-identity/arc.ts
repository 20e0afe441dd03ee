import { randomBytes, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { imdsPath } from './imds.ts'
import {
  answerMetadata,
  metadataError,
  metadataFaultWords,
  refusedMetadata,
  type SourceDeps,
  withFaults,
} from './metadata-answer.ts'

/** An Arc-enabled server whose identity is the principal. */
export interface Arc {
  readonly service: EmulatedService
  /** Removes the keys that nobody has used. */
  close(): Promise<void>
}

const apiVersions = ['2019-11-01', '2020-06-01']
const keysMax = 64

/**
 * Whoever asks is told a file, new for each request, and is answered once it shows what is in there: who may
 * read the folder is somebody of this machine that may have the tokens.
 *
 * @param folder Where Azure's clients take a key from.
 * @throws Error that says what is missing, when no key could be written there.
 */
export async function createArc(folder: string, deps: SourceDeps): Promise<Arc> {
  await access(folder, constants.W_OK).catch((cause: unknown) => {
    throw new Error(
      `${folder}: keys of Azure Arc are written there, and it is not there or not ours`,
      {
        cause,
      },
    )
  })
  const files = new Map<string, string>()
  const forget = async (key: string) => {
    const file = files.get(key)
    files.delete(key)
    if (file !== undefined) await rm(file, { force: true })
  }

  const challenge = async (): Promise<EmulatedReply> => {
    const [oldest] = files.keys()
    if (files.size >= keysMax && oldest !== undefined) await forget(oldest)
    const [file, key] = [join(folder, `${randomUUID()}.key`), randomBytes(32).toString('base64url')]
    files.set(key, file)
    await writeFile(file, key, { mode: 0o640, flag: 'wx' })
    return metadataError(401, 'unauthorized_client', 'Missing Basic Authorization header', {
      'www-authenticate': `Basic realm=${file}`,
    })
  }

  const serve = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    if (request.path.replace(/\/$/, '') !== imdsPath) {
      return metadataError(404, 'not_found', 'Not found.')
    }
    const refused = refusedMetadata(request)
    if (refused !== undefined) return refused
    if (request.method !== 'GET') {
      return metadataError(405, 'invalid_request', 'Only GET is supported.')
    }
    if (!apiVersions.includes(request.query.get('api-version') ?? '')) {
      const words = `The api-version must be ${apiVersions.join(' or ')}.`
      return metadataError(400, 'invalid_request', words)
    }
    const { authorization } = request.headers
    if (authorization === undefined) return challenge()
    const [, key = ''] = /^Basic (\S+)$/i.exec(authorization) ?? []
    if (!files.has(key)) {
      return metadataError(401, 'unauthorized_client', 'Invalid Basic Authorization header')
    }
    await forget(key)
    return answerMetadata(request.query, deps)
  }

  return {
    service: withFaults(deps.faults, metadataFaultWords, serve),
    close: async () => {
      for (const key of [...files.keys()]) await forget(key)
    },
  }
}
