import { parsed } from '../yaml/forms.ts'
import { isLoopback } from '../base/loopback.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { parseHttpsOrigin } from './cloud.ts'
import type { CloudConfig } from './config.ts'

export const vaultForm = parsed(
  'the https URL of a vault, such as https://contoso-hsm.vault.azure.net',
  parseHttpsOrigin,
  '^https://',
)

/** Whether the cloud can have this vault: our token must not go to anybody else. */
export function checkVault(part: YamlPart, vault: string, cloud: CloudConfig): void {
  const { hostname, port } = new URL(vault)
  if (isLoopback(hostname)) {
    // A vault that anybody on this machine can play must not be taken for one of Microsoft's.
    if (cloud.loopbackVaults && hostname === cloud.vaultSuffix) return
    part.report(
      'loopback-vault',
      `\`${part.name}\` is on loopback, where anybody can play a vault: name one of the cloud, or use a \`cloud\` of your own with vaultSuffix: localhost.`,
    )
  } else if (
    !isVaultHost(hostname, cloud.vaultSuffix) ||
    (port !== '' && cloud.name !== 'custom')
  ) {
    part.report(
      'foreign-vault',
      `\`${part.name}\` is no vault of this \`cloud\`: its URL must be https://NAME.${cloud.vaultSuffix}.`,
    )
  }
}

/** Vault names have 3 to 24 letters, digits and hyphens; the URL parser has made them lower case. */
function isVaultHost(hostname: string, suffix: string): boolean {
  const end = `.${suffix}`
  return hostname.endsWith(end) && /^[0-9a-z-]{3,24}$/.test(hostname.slice(0, -end.length))
}
