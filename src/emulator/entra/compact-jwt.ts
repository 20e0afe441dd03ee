/** A compact JWS taken apart; nothing in it is proven. */
export interface CompactJwt {
  readonly header: JsonObject
  readonly claims: JsonObject
  /** The ASCII that was signed. */
  readonly signingInput: Buffer
  readonly signature: Buffer
}

export type JsonObject = Readonly<Record<string, unknown>>

/** base64url in its one canonical spelling; undefined where a part is not that, or no JSON object. */
export function parseCompactJwt(text: string): CompactJwt | undefined {
  const [headerPart, claimsPart, signaturePart, ...others] = text.split('.')
  if (headerPart === undefined || claimsPart === undefined || signaturePart === undefined) {
    return undefined
  }
  const header = jsonObjectFrom(headerPart)
  const claims = jsonObjectFrom(claimsPart)
  const signature = bytesFrom(signaturePart)
  if (others.length > 0 || !header || !claims || !signature) return undefined
  const signingInput = Buffer.from(`${headerPart}.${claimsPart}`, 'ascii')
  return { header, claims, signingInput, signature }
}

function jsonObjectFrom(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(bytesFrom(part)?.toString('utf8') ?? '')
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function bytesFrom(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : undefined
}
