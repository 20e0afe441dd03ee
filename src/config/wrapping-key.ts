import { z } from 'zod'
import { flag, text } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig, WrappingKeyConfig } from './config.ts'
import { signingPlaces } from './signing-places.ts'
import { checkVault, vaultForm } from './vault-url.ts'

export const wrappingKeyForm = z
  .strictObject({
    vault: vaultForm.describe('URL of the Key Vault that holds the key.'),
    name: text(
      'the name of a key in that vault (letters, digits and hyphens, at most 127)',
      /^[0-9A-Za-z-]{1,127}$/,
    ).describe('What the vault calls the key.'),
    requireHsm: flag()
      .default(true)
      .describe('Refuses a key that no HSM holds. Exportable keys are always refused.'),
  })
  .describe(
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
    if (other.vault !== vault || other.name?.toLowerCase() !== name.toLowerCase()) continue
    part
      .at('name')
      .report(
        'signing-key',
        `\`${part.name}\` is the key of \`${other.at.name}\`, and a key that signs must do nothing else: name one that is for wrapping alone.`,
      )
  }
}

export const wrappingKeyFrom = ({
  vault,
  name,
  requireHsm,
}: z.output<typeof wrappingKeyForm>): WrappingKeyConfig => ({
  vault,
  nameInVault: name,
  requireHsm,
})
