import { resolve } from 'node:path'
import { z } from 'zod'
import { isLoopback } from '../base/loopback.ts'
import { claimRulesFrom, matchedClaimsForm, parsed, text } from '../yaml/forms.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { AuditConfig } from './config.ts'
import { type NamedFiles, readNamedFile } from './named-files.ts'

const oidcForm = z
  .strictObject({
    issuer: parsed(
      'the https URL of an issuer, such as https://login.microsoftonline.com/TENANT/v2.0 (http on loopback alone)',
      parseSignInIssuer,
      '^https?://',
    ).describe('Where people sign in: its metadata is looked for below this URL.'),
    clientId: text('the client id of the page at this issuer').describe(
      'Of the page at this issuer, whose redirect URI is PUBLIC-URL/audit/signed-in.',
    ),
    clientSecretFile: text('the path of a file')
      .optional()
      .describe(
        'File that holds the client secret; replicas that share one share sessions. Absent: a public client.',
      ),
    require: matchedClaimsForm.describe(
      'Who may: what the ID token must say, exactly these values. A list: one of them.',
    ),
  })
  .describe('Sign-in for people.')

export const auditForm = z
  .strictObject({ oidc: oidcForm })
  .optional()
  .describe('The page for auditors, for people. Absent: for callers with a grant alone.')

export type AuditForm = z.output<typeof auditForm>

/** Undefined for what is no URL of an issuer, or one that would be reached in clear text. */
function parseSignInIssuer(written: string): string | undefined {
  const url = URL.parse(written)
  if (url === null || url.search !== '' || url.hash !== '' || url.username !== '') return undefined
  const trusted =
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  return trusted ? written : undefined
}

/** Shorter ones could be guessed, and sessions are sealed with what is made of it. */
export const clientSecretLengthMin = 16

/** Whether the file of the client secret holds one. */
export async function checkAudit(
  part: YamlPart,
  folder: string,
  namedFiles: NamedFiles,
): Promise<void> {
  const file = part.at('oidc').at('clientSecretFile')
  const written = await readNamedFile(file, folder, namedFiles, 'client-secret-file')
  if (written === undefined || written.trim().length >= clientSecretLengthMin) return
  file.report(
    'client-secret-file',
    `The file of \`${file.name}\` must hold a client secret of ${clientSecretLengthMin} characters or more: put it there, and nothing else.`,
  )
}

export function auditFrom(form: AuditForm, folder: string): AuditConfig | undefined {
  if (form === undefined) return undefined
  const { issuer, clientId, clientSecretFile, require: claims } = form.oidc
  return {
    oidc: {
      issuer,
      clientId,
      clientSecretFile:
        clientSecretFile === undefined ? undefined : resolve(folder, clientSecretFile),
      rules: claimRulesFrom(claims),
    },
  }
}
