import { resolve } from 'node:path'
import type { TenantId } from '../base/ids.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { applicationForm, type TenantsFromFiles } from './applications.ts'
import { configForm } from './config-form.ts'
import { seenIssuer } from './issuers.ts'

/**
 * What a broken configuration still says about what grants may name, so that they can be looked at in
 * the same run. Undefined is what could not be read; nothing may be allowed by it.
 */
export interface ConfigOutline {
  readonly publicUrl: string | undefined
  readonly grants: { readonly folder: string } | undefined
  readonly applications: readonly {
    readonly name: string
    readonly tenants: readonly TenantId[] | undefined
    readonly handOut: boolean | undefined
  }[]
  readonly issuers: readonly {
    readonly name: string
    readonly kind: string | undefined
    readonly audience: string | undefined
  }[]
}

export function outlineOf(
  root: YamlPart,
  folder: string,
  tenantsFromFiles: TenantsFromFiles,
): ConfigOutline {
  const { publicUrl, grants } = root.seen(configForm)
  return {
    publicUrl,
    grants: grants === undefined ? undefined : { folder: resolve(folder, grants) },
    applications: root
      .at('applications')
      .parts()
      .map(([name, part]) => {
        const { tenants, handOut } = part.seen(applicationForm)
        return { name, tenants: tenants ?? tenantsFromFiles.get(name), handOut }
      }),
    issuers: root
      .at('issuers')
      .parts()
      .map(([name, part]) => {
        const seen = seenIssuer(part)
        const audience = seen !== undefined && 'audience' in seen ? seen.audience : undefined
        return { name, kind: seen?.kind, audience }
      }),
  }
}
