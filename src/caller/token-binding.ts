import { z } from 'zod'
import type { StrictJsonObject } from './strict-json.ts'

/** The key that the sender of a token must prove (RFC 7800 §3.1). */
export type TokenBinding =
  /** A bearer token: whoever has it may send it. */
  | { readonly to: 'nobody' }
  /** To a client certificate (RFC 8705 §3.1). */
  | { readonly to: 'certificate'; readonly sha256: string }
  /** To a key that signs a proof for each request (RFC 9449 §6.1). */
  | { readonly to: 'dpop'; readonly keyThumbprint: string }
  /** To something that nobody here can prove. */
  | { readonly to: 'unknown' }

/** base64url of 32 bytes. */
const sha256Form = z.string().regex(/^[A-Za-z0-9_-]{43}$/)

/** Two keys at once are nobody's token, and what is beside them could narrow what they mean. */
const certificateForm = z.strictObject({ 'x5t#S256': sha256Form })
const dpopForm = z.strictObject({ jkt: sha256Form })

export function tokenBindingFrom({ cnf }: StrictJsonObject): TokenBinding {
  if (cnf === undefined) return { to: 'nobody' }
  const certificate = certificateForm.safeParse(cnf)
  if (certificate.success) return { to: 'certificate', sha256: certificate.data['x5t#S256'] }
  const dpop = dpopForm.safeParse(cnf)
  return dpop.success ? { to: 'dpop', keyThumbprint: dpop.data.jkt } : { to: 'unknown' }
}
