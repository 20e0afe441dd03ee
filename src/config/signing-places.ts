import type { YamlPart } from '../yaml/yaml-part.ts'
import { certificateForm, standbyForm } from './certificates.ts'

/** Where a key is that signs for applications, as far as the file says so. */
export interface SigningPlace {
  readonly at: YamlPart
  readonly vault?: string | undefined
  readonly name?: string | undefined
}

export const signingPlaces = (certificates: YamlPart): readonly SigningPlace[] =>
  certificates.maps().flatMap(([, certificate]) => {
    const standby = certificate.at('standby')
    return [
      { at: certificate, ...certificate.seen(certificateForm) },
      { at: standby, ...standby.seen(standbyForm) },
    ]
  })
