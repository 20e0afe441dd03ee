import { z } from 'zod'
import { numberBetween } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig } from './config.ts'

/** Below it, not even the largest key could sign; far above it, nothing governs. */
const headroomMin = 0.01
const headroomMax = 1000

export const governorForm = z
  .strictObject({
    headroom: numberBetween(headroomMin, headroomMax)
      .default(0.8)
      .describe(
        "Share of each vault's documented budget that the service allows itself, all replicas on one database together; more than 1 in a cloud of your own alone.",
      ),
  })
  .prefault({})
  .describe('How much of what a vault allows the service uses.')

/** @param cloud Undefined when the file's own is broken: then nothing can be compared with it. */
export function checkGovernor(part: YamlPart, cloud: CloudConfig | undefined): void {
  const { headroom } = part.seen(governorForm.unwrap())
  if (headroom === undefined || headroom <= 1 || cloud === undefined || cloud.name === 'custom') {
    return
  }
  part
    .at('headroom')
    .report(
      'past-the-budget',
      `\`governor.headroom\` (${headroom}) is more than all that a vault of Microsoft's allows: name a share of it, such as 0.8.`,
    )
}
