/**
 * What Entra says no with: AADSTS codes, the OAuth error each belongs to, and the sentences as real
 * tenants send them. Clients are told to branch on codes; the sentences are here for people and for
 * the clients that read them anyway.
 */
const oauthErrors = {
  28002: 'invalid_request',
  50012: 'invalid_client',
  50027: 'invalid_request',
  50049: 'invalid_instance',
  50196: 'invalid_grant',
  53003: 'invalid_grant',
  70003: 'unsupported_grant_type',
  70011: 'invalid_scope',
  90002: 'invalid_request',
  90014: 'invalid_request',
  90033: 'temporarily_unavailable',
  90055: 'temporarily_unavailable',
  500011: 'invalid_resource',
  501051: 'invalid_grant',
  700016: 'unauthorized_client',
  700021: 'invalid_client',
  700023: 'invalid_client',
  700024: 'invalid_client',
  700027: 'invalid_client',
  700211: 'invalid_client',
  700212: 'invalid_client',
  700213: 'invalid_client',
  900023: 'invalid_request',
  900144: 'invalid_request',
  900561: 'invalid_request',
  901002: 'invalid_request',
  1000502: 'invalid_client',
  1002012: 'invalid_scope',
  5002723: 'invalid_client',
  5002727: 'invalid_request',
  5002738: 'invalid_client',
  7000112: 'unauthorized_client',
  7000215: 'invalid_client',
  7000218: 'invalid_client',
  9001023: 'invalid_request',
  9002313: 'invalid_request',
} as const

export type AadstsCode = keyof typeof oauthErrors

/** All of them, in ascending order. */
export const aadstsCodes = Object.keys(oauthErrors).map(Number) as readonly AadstsCode[]

export const oauthErrorOf = (code: AadstsCode): string => oauthErrors[code]

export interface EntraRefusal {
  readonly code: AadstsCode
  /** Without the `AADSTS…:` in front and the trace behind. */
  readonly text: string
}

export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: EntraRefusal }

export const passed = <Value>(value: Value): Checked<Value> => ({ ok: true, value })

export const refused = (code: AadstsCode, text: string): Checked<never> => ({
  ok: false,
  refusal: { code, text },
})
