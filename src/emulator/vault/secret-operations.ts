import { pemFrom } from '../x509/certificate.ts'
import { pfxFrom } from '../x509/pfx.ts'
import { identifierOf } from './bundles.ts'
import { refused, type Performed, type VaultContent, type VaultObject } from './performed.ts'
import { secretDisabled, secretNotExportable } from './vault-error.ts'

/** The secret of a certificate is the certificate with its private key: reading it is an export. */
export function getSecret(content: VaultContent, object: VaultObject): Performed {
  const { certificate, version } = object
  if (!version.enabled) return refused(secretDisabled)
  const { exportable } = certificate.definition
  if (!exportable && content.unconfirmed.nonExportableSecret === 'refused') {
    return refused(secretNotExportable)
  }
  return {
    ok: true,
    body: {
      value: secretValue(object),
      contentType: exportable ? certificate.definition.contentType : 'application/x-pem-file',
      id: identifierOf(content.origin, 'secrets', certificate.name, version.version),
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
      kid: identifierOf(content.origin, 'keys', certificate.name, version.version),
    },
  }
}

function secretValue({ certificate, version }: VaultObject): string {
  const certificatePem = pemFrom('CERTIFICATE', version.der)
  const { exportable, contentType } = certificate.definition
  if (!exportable) return certificatePem
  const privateKey = version.privateKey.export({ type: 'pkcs8', format: 'der' })
  return contentType === 'application/x-pem-file'
    ? pemFrom('PRIVATE KEY', privateKey) + certificatePem
    : pfxFrom(privateKey, version.der).toString('base64')
}
