import { z } from 'zod'
import { oneOf, parsed, text } from '../yaml/forms.ts'
import { isLoopback } from '../base/loopback.ts'
import { applicationsForm } from './applications.ts'
import { auditForm } from './audit.ts'
import { certificatesForm } from './certificates.ts'
import { cloudForm } from './cloud.ts'
import { expectForm } from './expect.ts'
import { exportForm } from './export.ts'
import { governorForm } from './governor.ts'
import { headsForm } from './heads.ts'
import { issuersForm } from './issuer-forms.ts'
import { ledgerForm } from './ledger.ts'
import { listenForm } from './listen.ts'
import { reconcileForm } from './reconcile.ts'
import { tokenCacheForm } from './token-cache.ts'
import { machinesForm } from './machines.ts'

/** `countersign.yaml` as an operator may write it: the source of the JSON Schema and of every default. */
export const configForm = z.strictObject({
  publicUrl: parsed(
    'the origin that callers reach, such as https://countersign.contoso.example, with nothing behind it (http on loopback alone)',
    parsePublicUrl,
    '^https?://',
  ).describe('Origin under which callers reach the service: the audience of their tokens.'),
  listen: listenForm,
  machines: machinesForm,
  cloud: cloudForm,
  credential: oneOf(['managed-identity', 'workload-identity', 'azure-cli'])
    .default('managed-identity')
    .describe('How the service itself reaches the vaults; azure-cli on loopback alone.'),
  trust: z
    .strictObject({
      caFiles: z
        .array(text('the path of a PEM file'), { error: 'a list of PEM files' })
        .default([])
        .describe("PEM files with roots that count besides the system's own."),
    })
    .prefault({})
    .describe('Extra roots, for a proxy that looks into TLS or a private authority.'),
  certificates: certificatesForm,
  applications: applicationsForm,
  issuers: issuersForm,
  grants: text('the path of a folder')
    .default('./grants')
    .describe('Folder of the grant files, relative to this file.'),
  ledger: ledgerForm,
  heads: headsForm,
  tokenCache: tokenCacheForm,
  governor: governorForm,
  export: exportForm,
  audit: auditForm,
  expect: expectForm,
  reconcile: reconcileForm,
})

export type ConfigForm = z.output<typeof configForm>

/** Undefined for what is no origin, or is one that callers would reach in clear text. */
export function parsePublicUrl(written: string): string | undefined {
  const url = URL.parse(written)
  if (url === null || url.origin !== written) return undefined
  const trusted =
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  return trusted ? written : undefined
}
