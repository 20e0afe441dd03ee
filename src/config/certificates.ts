import { z } from 'zod'
import { entriesOf, flag, namedMapOf, text } from '../yaml/forms.ts'
import { parseCertificateName } from '../base/ids.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CertificateConfig, CloudConfig } from './config.ts'
import { checkVault, vaultForm } from './vault-url.ts'

const nameForm = text(
  'the name of a certificate in that vault (letters, digits and hyphens, at most 127)',
  /^[0-9A-Za-z-]{1,127}$/,
)

export const standbyForm = z.strictObject({
  vault: vaultForm.describe('URL of another Key Vault.'),
  name: nameForm.describe('What that vault calls its certificate.'),
})

export const certificateForm = z.strictObject({
  vault: vaultForm.describe('URL of the Key Vault that holds certificate and key.'),
  name: nameForm.describe('What the vault calls the certificate.'),
  requireHsm: flag()
    .default(true)
    .describe('Refuses a key that no HSM holds. Exportable keys are always refused.'),
  standby: standbyForm
    .optional()
    .describe(
      'Another certificate, which signs when this one cannot: its public part must be on the same app registrations.',
    ),
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
    const primary = certificate.seen(certificateForm)
    const standby = certificate.at('standby')
    const { vault, name } = standby.seen(standbyForm)
    if (cloud !== undefined) {
      if (primary.vault !== undefined) checkVault(certificate.at('vault'), primary.vault, cloud)
      if (vault !== undefined) checkVault(standby.at('vault'), vault, cloud)
    }
    if (vault !== undefined && vault === primary.vault) {
      checkSameVault(standby, name?.toLowerCase() === primary.name?.toLowerCase())
    }
  }
}

/** Names have no case in a vault. */
function checkSameVault(standby: YamlPart, isItself: boolean): void {
  if (isItself) {
    standby.report(
      'standby-is-itself',
      `\`${standby.name}\` is the certificate that it stands by for: name another one, in another vault.`,
    )
    return
  }
  standby.report(
    'standby-in-one-vault',
    `\`${standby.name}\` is in the same vault, so it is away when that is, and shares its budget: name one in another vault.`,
    'warning',
  )
}

export function certificatesFrom(certificates: CertificatesForm): readonly CertificateConfig[] {
  return entriesOf(certificates).map(([name, { standby, name: nameInVault, ...certificate }]) => ({
    name,
    nameInVault,
    ...certificate,
    ...(standby === undefined
      ? {}
      : { standby: { vault: standby.vault, nameInVault: standby.name } }),
  }))
}
