import { z } from 'zod'
import { wholeNumber } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { TokenCacheConfig } from './config.ts'
import { vaultKeyFrom } from './vault-key.ts'
import { wrappingKeyForm } from './wrapping-key.ts'

/** Ten minutes in which refreshes begin and five to try again, of tokens that live an hour or more. */
const moreThanMinimumSeconds = 900

const settings = z.strictObject({
  maxMegabytes: wholeNumber(1, 65_536).default(256).describe('Memory for tokens, at most.'),
  minRemainingSeconds: wholeNumber(0, 3000)
    .default(300)
    .describe('What a token that is served has left to live, at least.'),
  refreshAheadSeconds: wholeNumber(1, 7200)
    .optional()
    .describe(
      `What a token in use has left when it is refreshed: more than minRemainingSeconds. Absent: ${moreThanMinimumSeconds} more.`,
    ),
  assertionReuseSeconds: wholeNumber(0, 240)
    .default(60)
    .describe(
      'For how long one signature serves more scopes of its application and tenant; 0: never.',
    ),
  wrappingKey: wrappingKeyForm.optional(),
})

export const tokenCacheForm = settings
  .prefault({})
  .describe('Tokens that are served again while they live.')

export type TokenCacheForm = z.output<typeof tokenCacheForm>

export function checkTokenCache(part: YamlPart): void {
  const { minRemainingSeconds, refreshAheadSeconds } = part.seen(settings)
  if (minRemainingSeconds === undefined || refreshAheadSeconds === undefined) return
  if (refreshAheadSeconds > minRemainingSeconds) return
  part
    .at('refreshAheadSeconds')
    .report(
      'refresh-too-late',
      `\`${part.name}.refreshAheadSeconds\` (${refreshAheadSeconds}) must be more than \`${part.name}.minRemainingSeconds\` (${minRemainingSeconds}), because a token with no more than that left is not served: raise the one, or lower the other.`,
    )
}

export function tokenCacheFrom(form: TokenCacheForm): TokenCacheConfig {
  const { maxMegabytes, minRemainingSeconds, refreshAheadSeconds, assertionReuseSeconds } = form
  return {
    bytesMax: maxMegabytes * 1024 * 1024,
    minRemainingSeconds,
    refreshAheadSeconds: refreshAheadSeconds ?? minRemainingSeconds + moreThanMinimumSeconds,
    assertionReuseSeconds,
    wrappingKey: form.wrappingKey && vaultKeyFrom(form.wrappingKey),
  }
}
