import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, lstat, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { atMostMsSince, instantNow, type Clock, type Instant } from '../base/clock.ts'
import { createLocalSecret, type LocalSecret } from './local-secret.ts'
import { answerMetadata, metadataError, refusedMetadata } from './metadata-token.ts'
import type { AnswerResource } from './resources.ts'
import { onlyValue, type Shape, type ShapeAnswer } from './shape.ts'

/** Where Azure Arc has its things. */
export interface ArcPlace {
  /** Where Azure's clients take a key from, and from nowhere else. */
  readonly keyFolder: string
  /** Azure's own agent, whose keys and ours would be in one folder. */
  readonly himds: string
}

export const arcPlace: ArcPlace = {
  keyFolder: '/var/opt/azcmagent/tokens',
  himds: '/opt/azcmagent/bin/himds',
}

/** Where keys are put, and who may read them. */
export interface KeyFolder {
  /** {@link ArcPlace.keyFolder} wherever Azure's clients are to find it. */
  readonly keyFolder: string
  /** The agent's own user; or the group of the folder too, as Azure's own agent has it. */
  readonly readableBy: 'owner' | 'group'
}

export interface ArcShape extends Shape {
  /**
   * Removes what an agent that was killed has left.
   *
   * @throws Error of the file system: the folder must be there, ours to write, and of a group of ours where
   *   that may read.
   */
  begin(): Promise<void>
  /** Removes the keys that are too old. */
  look(): Promise<void>
  /** Removes the keys that nobody has used. */
  end(): Promise<void>
}

const apiVersions = ['2019-11-01', '2020-06-01']

/** Programs use a key at once. */
const keyLastsMs = 60_000
const keysMax = 64
const keyName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.key$/

interface Key {
  readonly file: string
  readonly secret: LocalSecret
  readonly made: Instant
}

/**
 * The endpoint of Azure Arc: whoever asks is told a file, new for each request, and is answered once it shows
 * what is in there.
 *
 * @see "Authenticate against Azure resources with Azure Arc-enabled servers"
 */
export function arc(
  { keyFolder: folder, readableBy }: KeyFolder,
  answerResource: AnswerResource,
  clock: Clock,
): ArcShape {
  const keys = new Map<string, Key>()

  const remove = async (key: Key) => {
    keys.delete(key.file)
    await rm(key.file, { force: true })
  }

  const isOld = ({ made }: Key) => atMostMsSince(made, clock) > keyLastsMs

  const removeAll = async (gone: readonly Key[]) => {
    for (const key of gone) await remove(key)
  }

  const challenge = async (): Promise<ShapeAnswer> => {
    const key = {
      file: join(folder, `${randomUUID()}.key`),
      secret: createLocalSecret(),
      made: instantNow(clock),
    }
    // Counted before it is there, so that however many ask at once there are no more.
    keys.set(key.file, key)
    await removeAll([...keys.values()].slice(0, Math.max(keys.size - keysMax, 0)))
    try {
      await writeKey(key, readableBy)
    } catch (error) {
      await remove(key)
      throw error
    }
    // Others have asked meanwhile, and it was the oldest.
    if (!keys.has(key.file)) await remove(key)
    const words = 'Show what is in the file of the realm.'
    const headers = { 'www-authenticate': `Basic realm=${key.file}` }
    return metadataError(401, 'unauthorized', words, headers)
  }

  const shownIn = (authorization: string): Key | undefined => {
    const [, shown] = /^Basic (\S+)$/i.exec(authorization) ?? []
    return [...keys.values()].find((key) => key.secret.isShown(shown) && !isOld(key))
  }

  return {
    path: '/arc/metadata/identity/oauth2/token',
    answer: async (request) => {
      const refused = refusedMetadata(request)
      if (refused !== undefined) return refused
      if (request.method !== 'GET')
        return metadataError(405, 'invalid_request', 'Only GET is supported.')
      if (!apiVersions.includes(onlyValue(request.query, 'api-version') ?? '')) {
        const words = `The api-version must be ${apiVersions.join(' or ')}.`
        return metadataError(400, 'invalid_request', words)
      }
      const { authorization } = request.headers
      if (authorization === undefined) return challenge()
      const key = shownIn(authorization)
      if (key === undefined) {
        return metadataError(403, 'unauthorized', 'The key is wrong, used, or too old.')
      }
      await remove(key)
      return answerMetadata(request.query, answerResource, clock)
    },
    begin: async () => {
      await removeLeftKeys(folder, clock)
      // Rather now than at the first request.
      if (readableBy === 'group') await tryGroupOf(folder)
    },
    look: () => removeAll([...keys.values()].filter(isOld)),
    end: () => removeAll([...keys.values()]),
  }
}

/** Whoever opens it before it is the group's finds nothing in it, and it is told to nobody before it is whole. */
async function writeKey(
  { file, secret }: Pick<Key, 'file' | 'secret'>,
  readableBy: KeyFolder['readableBy'],
): Promise<void> {
  await using handle = await open(file, 'wx', 0o600)
  if (readableBy === 'group') {
    const { gid } = await stat(dirname(file))
    await handle.chown((await handle.stat()).uid, gid)
    await handle.chmod(0o640)
  }
  await handle.writeFile(secret.value.reveal())
}

async function tryGroupOf(folder: string): Promise<void> {
  const file = join(folder, `${randomUUID()}.key`)
  try {
    await writeKey({ file, secret: createLocalSecret() }, 'group')
  } finally {
    await rm(file, { force: true })
  }
}

/** Only those that are too old for any agent, of whatever user, to take. */
async function removeLeftKeys(folder: string, clock: Clock): Promise<void> {
  await access(folder, constants.W_OK)
  const files = (await readdir(folder)).filter((name) => keyName.test(name))
  for (const file of files.map((name) => join(folder, name))) {
    const found = await lstat(file).catch(() => undefined)
    const isOurs = found?.isFile() === true && found.uid === process.geteuid?.()
    if (isOurs && clock.nowMs() - found.mtimeMs > keyLastsMs) await rm(file, { force: true })
  }
}

/** What programs must find in their environment; of the second only that it is there. */
export const arcVariables = (endpoint: string) => ({
  IDENTITY_ENDPOINT: endpoint,
  IMDS_ENDPOINT: new URL(endpoint).origin,
})
