import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig } from './config.ts'
import { signingPlaces } from './signing-places.ts'
import { isSameKey, vaultKeyForm } from './vault-key.ts'
import { checkVault } from './vault-url.ts'

export const wrappingKeyForm = vaultKeyForm.describe(
  "Key that wraps what tokens are sealed with where replicas share them; for this alone, and no certificate's.",
)

/** @param cloud Undefined when the file's own is broken: then no vault can be compared with it. */
export function checkWrappingKey(
  part: YamlPart,
  certificates: YamlPart,
  cloud: CloudConfig | undefined,
): void {
  const { vault, name } = part.seen(wrappingKeyForm)
  if (vault !== undefined && cloud !== undefined) checkVault(part.at('vault'), vault, cloud)
  if (vault === undefined || name === undefined) return
  for (const other of signingPlaces(certificates)) {
    if (!isSameKey(other, { vault, name })) continue
    part
      .at('name')
      .report(
        'signing-key',
        `\`${part.name}\` is the key of \`${other.at.name}\`, and a key that signs must do nothing else: name one that is for wrapping alone.`,
      )
  }
}
