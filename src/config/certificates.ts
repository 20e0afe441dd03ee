import { z } from 'zod'
import { entriesOf, flag, namedMapOf, parsed, text } from '../yaml/forms.ts'
import { parseCertificateName } from '../base/ids.ts'
import { isLoopback } from '../base/loopback.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { parseHttpsOrigin } from './cloud.ts'
import type { CertificateConfig, CloudConfig } from './config.ts'

const form = z.strictObject({
  vault: parsed(
    'the https URL of a vault, such as https://contoso-hsm.vault.azure.net',
    parseHttpsOrigin,
    '^https://',
  ).describe('URL of the Key Vault that holds certificate and key.'),
  name: text(
    'the name of a certificate in that vault (letters, digits and hyphens, at most 127)',
    /^[0-9A-Za-z-]{1,127}$/,
  ).describe('What the vault calls the certificate.'),
  requireHsm: flag()
    .default(true)
    .describe('Refuses a key that no HSM holds. Exportable keys are always refused.'),
})

export const certificatesForm = namedMapOf(
  parseCertificateName,
  form,
  'a map with at least one certificate',
).describe('Certificates and their keys, each under a name of your choice.')

export type CertificatesForm = z.output<typeof certificatesForm>

/** @param cloud Undefined when the file's own is broken: then no vault can be compared with it. */
export function checkCertificates(part: YamlPart, cloud: CloudConfig | undefined): void {
  for (const [, certificate] of part.maps()) {
    const { vault } = certificate.seen(form)
    if (vault !== undefined && cloud !== undefined)
      checkVault(certificate.at('vault'), vault, cloud)
  }
}

export function certificatesFrom(certificates: CertificatesForm): readonly CertificateConfig[] {
  return entriesOf(certificates).map(([name, { vault, name: nameInVault, requireHsm }]) => ({
    name,
    vault,
    nameInVault,
    requireHsm,
  }))
}

function checkVault(part: YamlPart, vault: string, cloud: CloudConfig): void {
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
