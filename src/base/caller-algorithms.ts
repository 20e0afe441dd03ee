/** What issuers may sign caller tokens with (RFC 7518 §3.1, RFC 8037): asymmetric all of them, never `none`. */
export const callerAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
export type CallerAlgorithm = (typeof callerAlgorithms)[number]
