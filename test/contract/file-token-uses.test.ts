import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileTokenUses, type FileTokenUses } from '../../src/token-use/file-token-uses.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import {
  describeClockedUses,
  describeLastingUses,
  describeTokenUses,
  tokensMax,
} from './token-uses.contract.ts'

const createPlace = async () => {
  const clock = fixedClock(1_790_000_000)
  const folder = await mkdtemp(join(tmpdir(), 'countersign-uses-'))
  const opened: FileTokenUses[] = []
  const open = async () => {
    await opened.at(-1)?.close()
    const uses = await createFileTokenUses({ file: join(folder, 'uses'), clock, tokensMax })
    opened.push(uses)
    return uses
  }
  return {
    nowSeconds: () => clock.nowSeconds(),
    open,
    openAgain: open,
    pass: (seconds: number) => {
      clock.advance(seconds)
    },
    remove: async () => {
      await opened.at(-1)?.close()
      await rm(folder, { recursive: true })
    },
  }
}

describeTokenUses('uses in a file', createPlace)
describeLastingUses('uses in a file', createPlace)
describeClockedUses('uses in a file', createPlace)
