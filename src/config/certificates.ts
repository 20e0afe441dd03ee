import { z } from 'zod'
import { entriesOf, flag, namedMapOf, text } from '../yaml/forms.ts'
import { parseCertificateName } from '../base/ids.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CertificateConfig, CloudConfig } from './config.ts'
import { checkVault, vaultForm } from './vault-url.ts'

export const certificateForm = z.strictObject({
  vault: vaultForm.describe('URL of the Key Vault that holds certificate and key.'),
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
  certificateForm,
  'a map with at least one certificate',
).describe('Certificates and their keys, each under a name of your choice.')

export type CertificatesForm = z.output<typeof certificatesForm>

/** @param cloud Undefined when the file's own is broken: then no vault can be compared with it. */
export function checkCertificates(part: YamlPart, cloud: CloudConfig | undefined): void {
  for (const [, certificate] of part.maps()) {
    const { vault } = certificate.seen(certificateForm)
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
