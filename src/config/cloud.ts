import { z } from 'zod'
import { oneOf, parsed, text } from '../yaml/forms.ts'
import { isLoopback } from '../base/loopback.ts'
import type { CloudConfig } from './config.ts'

/** Hosts of Microsoft's clouds: Entra's authority, the issuer of its v1 tokens, Key Vault. */
const clouds = {
  public: {
    name: 'public',
    authority: 'https://login.microsoftonline.com',
    authorityV1: 'https://sts.windows.net',
    vaultSuffix: 'vault.azure.net',
    loopbackVaults: false,
  },
  usgov: {
    name: 'usgov',
    authority: 'https://login.microsoftonline.us',
    authorityV1: 'https://sts.windows.net',
    vaultSuffix: 'vault.usgovcloudapi.net',
    loopbackVaults: false,
  },
  china: {
    name: 'china',
    authority: 'https://login.partner.microsoftonline.cn',
    authorityV1: 'https://sts.chinacloudapi.cn',
    vaultSuffix: 'vault.azure.cn',
    loopbackVaults: false,
  },
} as const satisfies Record<string, CloudConfig>

const customForm = z.strictObject({
  authority: parsed(
    'an https origin such as https://login.example',
    parseHttpsOrigin,
    '^https://',
  ).describe("Origin of Entra's token endpoints."),
  vaultSuffix: text(
    'what the hosts of vaults end with, such as vault.example',
    hostForm(),
  ).describe(
    'What the host of every vault ends with; localhost allows vaults on any port of loopback.',
  ),
})

export const cloudForm = z
  .union([oneOf(['public', 'usgov', 'china']), customForm], {
    error: 'one of public, usgov, china, or a map of authority and vaultSuffix',
  })
  .default('public')
  .describe('Which hosts Entra and Key Vault have: a cloud of Microsoft, or one of your own.')

export type CloudForm = z.output<typeof cloudForm>

export function cloudFrom(form: CloudForm): CloudConfig {
  if (typeof form === 'string') return clouds[form]
  const { authority, vaultSuffix } = form
  const loopbackVaults = isLoopback(vaultSuffix)
  return { name: 'custom', authority, authorityV1: authority, vaultSuffix, loopbackVaults }
}

/** An https URL with nothing behind its host and port, such as `https://localhost:8443`. */
export function parseHttpsOrigin(written: string): string | undefined {
  const url = URL.parse(written)
  return url?.protocol === 'https:' && url.origin === written.replace(/\/$/, '')
    ? url.origin
    : undefined
}

function hostForm(): RegExp {
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
  return new RegExp(`^${label}(?:\\.${label})*$`)
}
