import { resolve } from 'node:path'
import type { z } from 'zod'
import type { IssuerName } from '../base/ids.ts'
import { claimRulesFrom } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { MtlsIssuerConfig } from './config.ts'
import type { mtlsForm } from './issuer-forms.ts'

type MtlsForm = z.output<typeof mtlsForm>

/** @param folder Where relative paths start. */
export function mtlsIssuerFrom(
  name: IssuerName,
  { kind, caFile, identity, trustDomain, require }: MtlsForm,
  folder: string,
): MtlsIssuerConfig {
  return {
    kind,
    name,
    caFile: resolve(folder, caFile),
    identity,
    ...(trustDomain === undefined ? {} : { trustDomain }),
    require: claimRulesFrom(require ?? {}),
  }
}

export function checkMtlsIssuer(issuer: YamlPart, { identity }: Partial<MtlsForm>): void {
  if (identity === undefined || identity === 'uri') return
  const trustDomain = issuer.at('trustDomain')
  if (trustDomain.value === undefined) return
  trustDomain.report(
    'trust-domain-of-no-uri',
    `\`${trustDomain.name}\` is of a URI, and \`identity\` is ${identity}: remove it, or use identity: uri.`,
  )
}
