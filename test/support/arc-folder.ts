import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Where Azure's clients take the keys of Azure Arc from on Linux, and from nowhere else. */
export const arcFolder = '/var/opt/azcmagent/tokens'

/** Root alone can make it; and where Azure's own agent is, it is that one's. */
export const canHaveArcFolder =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  !existsSync('/opt/azcmagent/bin/himds')

/**
 * Makes it, and keeps it until it is released; other test files may do the same meanwhile, and the last one
 * removes it.
 */
export function keepArcFolder(): { release(): void } {
  const mark = join(arcFolder, `${randomUUID()}.in-use`)
  for (let attempt = 0; !marked(mark); attempt += 1) {
    if (attempt === 100) throw new Error(`${arcFolder} is removed as often as it is made`)
  }
  return {
    release: () => {
      rmSync(mark, { force: true })
      for (const folder of [arcFolder, dirname(arcFolder)]) removeEmpty(folder)
    },
  }
}

/** False when somebody has removed the folder in between. */
function marked(mark: string): boolean {
  mkdirSync(dirname(mark), { recursive: true })
  try {
    writeFileSync(mark, '')
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY'].includes(codeOf(error))) throw error
  }
}

const codeOf = (error: unknown) => String((error as NodeJS.ErrnoException).code)
