import type { Secret } from '../base/secret.ts'

/** Takes out of a text what nobody may read. */
export type Redaction = (text: string) => string

/** Shorter ones would take words apart, and keep nobody out anyway. */
const secretCharactersMin = 8

/** JWTs, also cut ones, and whatever is as long as a key, a signature or a token. */
const credentials = /eyJ[\w-]{8,}[\w.-]*|[A-Za-z0-9+/_=-]{80,}/g

/**
 * Takes out what looks like a credential, and the secrets that are known: peers repeat in their
 * answers what they were sent.
 */
export function createRedaction(secrets: readonly Secret<string>[]): Redaction {
  const known = secrets
    .map((secret) => secret.reveal())
    .filter((value) => value.length >= secretCharactersMin)
    .flatMap(formsOf)
  return (text) =>
    known
      .reduce((rest, form) => rest.replaceAll(form, '[redacted]'), text)
      .replaceAll(credentials, '[redacted]')
}

/** As it is, in a URL or form, and in JSON. */
const formsOf = (value: string): readonly string[] => [
  value,
  encodeURIComponent(value.toWellFormed()),
  JSON.stringify(value).slice(1, -1),
]
