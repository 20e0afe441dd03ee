import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { claimsMatch } from '../base/claim-rules.ts'
import { systemClock } from '../base/clock.ts'
import { parseIssuerName } from '../base/ids.ts'
import { parseJson } from '../base/parse-json.ts'
import { certificatesIn } from '../base/pem-certificates.ts'
import { printable } from '../base/printable.ts'
import { Secret } from '../base/secret.ts'
import type { CallerRefusal } from '../caller/caller.ts'
import type { Config } from '../config/config.ts'
import type { CallerFacts } from '../policy/decision.ts'
import { CommandError } from './command-error.ts'

/** One of three: a token, a certificate, or claims and who vouches for them. */
export interface ExplainedCallerOptions {
  readonly token?: string
  readonly certificate?: string
  readonly issuer?: string
  readonly claims?: string
}

/** Who would be proven, or why nobody would be. */
export type ExplainedCaller =
  { readonly ok: true; readonly caller: CallerFacts } | { readonly ok: false; readonly why: string }

/**
 * Proves a caller as the service does, but for what only a request can show: that its sender holds a key.
 *
 * @throws CommandError for options that name nobody, and where it cannot be told.
 */
export async function explainedCaller(
  options: ExplainedCallerOptions,
  config: Config,
): Promise<ExplainedCaller> {
  const { token, certificate, issuer, claims } = options
  const given = [token, certificate, issuer ?? claims].filter((one) => one !== undefined)
  if (given.length === 1) {
    if (token !== undefined) return provenByToken(token, config)
    if (certificate !== undefined) return provenByCertificate(certificate, config)
    if (issuer !== undefined && claims !== undefined) return claimed(issuer, claims, config)
  }
  throw new CommandError(
    'give either --token FILE, --certificate FILE, or --issuer NAME and --claims FILE',
  )
}

async function provenByToken(tokenFile: string, config: Config): Promise<ExplainedCaller> {
  const text = tokenIn(tokenFile)
  // Most of what proves callers is not needed to look at claims.
  const [
    { createTokenProof },
    { unfitBinding },
    { tokenBindingFrom },
    { trustAlso },
    { CallerError },
  ] = await Promise.all([
    import('../caller-proof.ts'),
    import('../caller/presented-caller.ts'),
    import('../caller/token-binding.ts'),
    import('../base/trusted-roots.ts'),
    import('../caller/caller.ts'),
  ])
  trustAlso(config.trust.caFiles)
  const tokenProof = createTokenProof(config, {
    clock: systemClock,
    onIssuerAway: () => undefined,
  })
  try {
    const identified = await tokenProof.tokens.identify(new Secret(text))
    if (identified.ok) {
      const { caller } = identified
      const unfit = unfitBinding(tokenBindingFrom(caller.claims), boundTokensOf(config, caller))
      if (unfit === undefined) return identified
      return { ok: false, why: whyRefused({ ...unfit, issuer: caller.issuer }) }
    }
    return { ok: false, why: whyRefused(identified.refusal) }
  } catch (error) {
    if (!(error instanceof CallerError)) throw error
    const why = error.cause instanceof Error ? ` (${error.cause.message})` : ''
    throw new CommandError(
      `issuer ${error.issuer} cannot be asked for its keys: ${error.code}${why}`,
    )
  } finally {
    await tokenProof.close()
  }
}

/** Looked at as if TLS had proven that the caller holds its key. */
async function provenByCertificate(file: string, config: Config): Promise<ExplainedCaller> {
  const chain = certificateChainIn(file)
  const [{ createCertificateProof }, { sha256Base64url }] = await Promise.all([
    import('../caller-proof.ts'),
    import('../base/sha256.ts'),
  ])
  const sha256 = sha256Base64url(chain[0].raw)
  const identified = createCertificateProof(config, systemClock).identify({ chain, sha256 })
  if (identified.ok) return identified
  return { ok: false, why: whyRefused(identified.refusal) }
}

/** As the protected log would have it. */
function whyRefused(refusal: CallerRefusal): string {
  const issuer = 'issuer' in refusal ? ` by the rules of issuer ${refusal.issuer}` : ''
  const detail = 'detail' in refusal ? ` (${refusal.detail})` : ''
  return `${refusal.reason}${issuer}${detail}`
}

function boundTokensOf({ issuers }: Config, caller: CallerFacts) {
  const issuer = issuers.find(({ name }) => name === caller.issuer)
  return issuer === undefined || issuer.kind === 'mtls' ? undefined : issuer.boundTokens
}

const claimsSchema = z.record(z.string(), z.unknown())

function claimed(issuerText: string, file: string, { issuers }: Config): ExplainedCaller {
  const name = parseIssuerName(issuerText)
  const issuer = issuers.find((one) => one.name === name)
  if (issuer === undefined) {
    const names = issuers.map((one) => one.name).join(', ')
    throw new CommandError(`--issuer must be one of ${names}`)
  }
  const claims = claimsSchema.safeParse(parseJson(claimsTextIn(file)))
  if (!claims.success) throw new CommandError(`${file} must be a JSON object of claims`)
  const broken = issuer.require.find((rule) => !claimsMatch([rule], claims.data))
  if (broken === undefined)
    return { ok: true, caller: { issuer: issuer.name, claims: claims.data } }
  const why = `issuer ${issuer.name} requires another ${printable(broken.claim, 80)} of everybody.`
  return { ok: false, why }
}

/** Says nothing of the argument: somebody may have put the token there. */
function tokenIn(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim()
  } catch {
    throw new CommandError('--token must be a file that holds the token, or - for standard input')
  }
}

function claimsTextIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new CommandError(`the claims cannot be read from ${file}`)
  }
}

/** Says nothing of the file's text: it may be that of a key. */
function certificateChainIn(file: string): readonly [X509Certificate, ...X509Certificate[]] {
  try {
    const [own, ...above] = certificatesIn(readFileSync(file, 'utf8'))
    if (own !== undefined) return [own, ...above]
  } catch {
    // Not there, or damaged: what to do about either is the same.
  }
  throw new CommandError('--certificate must be a PEM file with a client certificate')
}
