import { relative, sep } from 'node:path'
import { sha256Base64url } from '../base/sha256.ts'
import { readTextFile } from '../base/text-file.ts'
import type { Config } from './config.ts'

/**
 * The same, so that copies in two folders compare as equal: paths start at `folder`, and a file of
 * authorities stands for what is in it, where it can be read.
 */
export async function portableConfig(config: Config, folder: string): Promise<Config> {
  // Texts become other texts, and all else stays as it is: no type of a walk over members says so.
  return (await portable(config, folder)) as Config
}

/** Who may sign for others is in these files, not in their names. */
const authorityFiles = ['caFile', 'caFiles']

async function portable(value: unknown, folder: string, member = ''): Promise<unknown> {
  if (typeof value === 'string') return portableText(value, folder, member)
  if (Array.isArray(value)) {
    return Promise.all(value.map((one: unknown) => portable(one, folder, member)))
  }
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(
    async ([name, one]) => [name, await portable(one, folder, name)] as const,
  )
  return Object.fromEntries(await Promise.all(members))
}

async function portableText(text: string, folder: string, member: string): Promise<string> {
  const place = text.startsWith(folder + sep) ? relative(folder, text) : text
  if (!authorityFiles.includes(member)) return place
  const reading = await readTextFile(text)
  return reading.ok ? `sha256:${sha256Base64url(reading.text)}` : place
}
