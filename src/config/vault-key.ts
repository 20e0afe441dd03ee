import { z } from 'zod'
import { flag, text } from '../yaml/forms.ts'
import { vaultForm } from './vault-url.ts'

/** A key of a vault that does one thing, and is of no certificate. */
export const vaultKeyForm = z.strictObject({
  vault: vaultForm.describe('URL of the Key Vault that holds the key.'),
  name: text(
    'the name of a key in that vault (letters, digits and hyphens, at most 127)',
    /^[0-9A-Za-z-]{1,127}$/,
  ).describe('What the vault calls the key.'),
  requireHsm: flag()
    .default(true)
    .describe('Refuses a key that no HSM holds. Exportable keys are always refused.'),
})

interface NamedKey {
  readonly vault?: string | undefined
  readonly name?: string | undefined
}

/** Names have no case in a vault. */
export const isSameKey = (one: NamedKey, other: NamedKey): boolean =>
  one.vault === other.vault &&
  one.name !== undefined &&
  one.name.toLowerCase() === other.name?.toLowerCase()

export const vaultKeyFrom = ({ vault, name, requireHsm }: z.output<typeof vaultKeyForm>) => ({
  vault,
  nameInVault: name,
  requireHsm,
})
