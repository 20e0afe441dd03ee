import { pemFrom } from '../x509/certificate.ts'
import { pfxFrom } from '../x509/pfx.ts'
import { identifierOf } from './bundles.ts'
import {
  refused,
  type Performed,
  type VaultCertificate,
  type VaultContent,
  type VaultSecret,
} from './performed.ts'
import { secretDisabled, secretNotExportable } from './vault-error.ts'

export function getOwnSecret(content: VaultContent, { stored, version }: VaultSecret): Performed {
  if (!version.enabled) return refused(secretDisabled)
  const { value, contentType } = stored.definition
  return {
    ok: true,
    body: {
      value,
      ...(contentType === undefined ? {} : { contentType }),
      id: identifierOf(content.origin, 'secrets', stored.name, version.version),
      attributes: {
        enabled: version.enabled,
        created: version.createdSeconds,
        updated: version.updatedSeconds,
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90,
      },
    },
  }
}

/** The secret of a certificate is the certificate with its private key: reading it is an export. */
export function getCertificateSecret(
  content: VaultContent,
  certificate: VaultCertificate,
): Performed {
  const { stored, version } = certificate
  if (!version.enabled) return refused(secretDisabled)
  const { exportable } = stored.definition
  if (!exportable && content.unconfirmed.nonExportableSecret === 'refused') {
    return refused(secretNotExportable)
  }
  return {
    ok: true,
    body: {
      value: secretValue(certificate),
      contentType: exportable ? stored.definition.contentType : 'application/x-pem-file',
      id: identifierOf(content.origin, 'secrets', stored.name, version.version),
      managed: true,
      attributes: {
        enabled: version.enabled,
        nbf: version.notBeforeSeconds,
        exp: version.notAfterSeconds,
        created: version.createdSeconds,
        updated: version.updatedSeconds,
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90,
      },
      kid: identifierOf(content.origin, 'keys', stored.name, version.version),
    },
  }
}

function secretValue({ stored, version }: VaultCertificate): string {
  const certificatePem = pemFrom('CERTIFICATE', version.der)
  const { exportable, contentType } = stored.definition
  if (!exportable) return certificatePem
  const privateKey = version.privateKey.export({ type: 'pkcs8', format: 'der' })
  return contentType === 'application/x-pem-file'
    ? pemFrom('PRIVATE KEY', privateKey) + certificatePem
    : pfxFrom(privateKey, version.der).toString('base64')
}
