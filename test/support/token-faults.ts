import { createHmac, createPublicKey } from 'node:crypto'
import type { CallerRefusal } from '../../src/caller/caller.ts'
import { createIssuerKey, type Claims, type IssuerKey } from './caller-issuer.ts'

/** A token that would be accepted: its claims, and whoever could sign it. */
export interface GoodToken {
  readonly claims: Claims
  /** With which the issuer signs it. */
  readonly key: IssuerKey
  /** Seconds since the Unix epoch at which it is judged, or a moment before. */
  readonly now: number
  /** That the service wants. */
  readonly audience: string
  /** Of an application that the service signs for. */
  readonly ownClientId: string
  /** Signs the claims with changes; a member that is undefined is left out. */
  readonly sign: (changes?: Claims, header?: Claims, by?: IssuerKey) => Promise<string>
}

/**
 * One thing wrong with a token, everything else right: what it is, the reason that it must be refused
 * with, and what the detail of the reason must say.
 */
export type TokenFault = readonly [
  name: string,
  reason: CallerRefusal['reason'],
  detail: string | ((good: GoodToken) => string),
  mint: (good: GoodToken) => Promise<string> | string,
]

/** What of a token is wrong. */
export type Aspect =
  | 'presence'
  | 'signature'
  | 'algorithm'
  | 'key'
  | 'issuer'
  | 'audience'
  | 'times'
  | 'type'
  | 'subject'
  /** A token of one of our own applications. */
  | 'chain'
  | 'size'
  | 'encoding'

/** Keys that are no issuer's, under names that its own could have. */
const ellipticKey = createIssuerKey('elliptic', 'ES256')
const encryptionKey = createIssuerKey('encryption')
const strangersKey = createIssuerKey('of-a-stranger')

const encode = (text: string) => Buffer.from(text).toString('base64url')
const parts = (token: string) => token.split('.') as [string, string, string]

/** The good token with its payload or header written otherwise, under the signature that it had. */
async function rewritten({ sign }: GoodToken, part: 0 | 1, rewrite: (json: string) => string) {
  const written = parts(await sign())
  written[part] = encode(rewrite(Buffer.from(written[part], 'base64url').toString()))
  return written.join('.')
}

/** The classic confusion: a MAC whose secret is the issuer's public key. */
function macToken({ claims, key }: GoodToken): string {
  const header = encode(JSON.stringify({ alg: 'HS256', kid: key.kid }))
  const input = `${header}.${encode(JSON.stringify(claims))}`
  const secret = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

const unsigned = ({ claims }: GoodToken, alg: string) =>
  `${encode(JSON.stringify({ alg }))}.${encode(JSON.stringify(claims))}.c2ln`

/** What can be wrong with the token of any kind of issuer. */
export const tokenFaults: Readonly<Record<Aspect, readonly TokenFault[]>> = {
  presence: [['of no characters', 'caller_token_missing', '', () => '']],
  signature: [
    [
      'signed by somebody who took the name of its key',
      'caller_signature_wrong',
      'RS256',
      ({ key, sign }) => sign({}, { kid: key.kid }, strangersKey),
    ],
    [
      'with a claim changed after it was signed',
      'caller_signature_wrong',
      'RS256',
      (good) => rewritten(good, 1, (json) => json.replace('"aud"', '"admin":true,"aud"')),
    ],
    [
      'with a header changed after it was signed',
      'caller_signature_wrong',
      'RS256',
      (good) => rewritten(good, 0, (json) => json.replace('{', '{"x":1,')),
    ],
    [
      'under the signature of another token',
      'caller_signature_wrong',
      'RS256',
      async (good) => {
        const [header, payload] = parts(await good.sign())
        return [header, payload, parts(await good.sign({ jti: 'other' }))[2]].join('.')
      },
    ],
    [
      'with a signature of one byte',
      'caller_signature_wrong',
      'RS256',
      async (good) =>
        `${parts(await good.sign())
          .slice(0, 2)
          .join('.')}.AA`,
    ],
  ],
  algorithm: [
    [
      'that says it needs no signature',
      'caller_algorithm_refused',
      'none',
      (g) => unsigned(g, 'none'),
    ],
    ['that says so in capitals', 'caller_algorithm_refused', 'NONE', (g) => unsigned(g, 'NONE')],
    [
      'authenticated with the public key as a secret',
      'caller_algorithm_refused',
      'HS256',
      macToken,
    ],
    [
      'signed with an algorithm that is not listed',
      'caller_algorithm_refused',
      'PS256',
      (good) => good.sign({}, { alg: 'PS256' }),
    ],
    [
      'signed with a good key of an algorithm that is not listed',
      'caller_algorithm_refused',
      'ES256',
      (good) => good.sign({}, {}, ellipticKey),
    ],
    [
      'without an algorithm',
      'caller_algorithm_refused',
      'nothing',
      (good) => rewritten(good, 0, () => '{"kid":"a"}'),
    ],
    [
      'with a sentence for an algorithm',
      'caller_algorithm_refused',
      '(not shown)',
      (good) => unsigned(good, 'please trust me'),
    ],
  ],
  key: [
    [
      'signed with a key that the issuer does not show',
      'caller_key_unknown',
      'kid made-up',
      (good) => good.sign({}, { kid: 'made-up' }),
    ],
    [
      'that names a key of another kind',
      'caller_key_unknown',
      'kid elliptic',
      (good) => good.sign({}, { kid: 'elliptic' }),
    ],
    [
      'signed with a key that is for encryption',
      'caller_key_unknown',
      'kid encryption',
      (good) => good.sign({}, {}, encryptionKey),
    ],
    [
      'that brings its own key',
      'caller_token_malformed',
      'a refused header member',
      ({ key, sign }) => sign({}, { kid: key.kid, jwk: strangersKey.jwk }, strangersKey),
    ],
    [
      'that says where its key is',
      'caller_token_malformed',
      'a refused header member',
      (good) => good.sign({}, { jku: 'https://attacker.example/keys' }),
    ],
  ],
  issuer: [
    [
      'of an issuer that is not listed',
      'caller_issuer_unknown',
      '',
      (good) => good.sign({ iss: 'https://issuer.example' }),
    ],
    [
      'whose issuer differs by a slash',
      'caller_issuer_unknown',
      '',
      (good) => good.sign({ iss: `${String(good.claims['iss'])}/` }),
    ],
    ['without an issuer', 'caller_issuer_unknown', '', (good) => good.sign({ iss: undefined })],
  ],
  audience: [
    [
      'meant for somebody else',
      'caller_audience_wrong',
      'meant for api://AzureADTokenExchange',
      (good) => good.sign({ aud: 'api://AzureADTokenExchange' }),
    ],
    [
      'meant for somebody whose name begins like ours',
      'caller_audience_wrong',
      ({ audience }) => `meant for ${audience}/`,
      ({ audience, sign }) => sign({ aud: `${audience}/` }),
    ],
    [
      'meant for several others',
      'caller_audience_wrong',
      'meant for a, b, (not shown)',
      ({ audience, sign }) => sign({ aud: ['a', 'b', { c: audience }, 'd'] }),
    ],
    ['meant for nobody', 'caller_audience_wrong', 'meant for ', (good) => good.sign({ aud: [] })],
    [
      'that does not say for whom it is',
      'caller_audience_wrong',
      'meant for nothing',
      (good) => good.sign({ aud: undefined }),
    ],
  ],
  times: [
    [
      'that expires this second',
      'caller_token_expired',
      ({ now }) => `exp ${now}, now `,
      ({ now, sign }) => sign({ exp: now }),
    ],
    [
      'that expires within this second',
      'caller_token_expired',
      ({ now }) => `exp ${now + 0.9}, now `,
      ({ now, sign }) => sign({ exp: now + 0.9 }),
    ],
    [
      'that expired long ago',
      'caller_token_expired',
      'exp -1, now ',
      (good) => good.sign({ exp: -1 }),
    ],
    [
      'that is valid only later',
      'caller_token_not_yet_valid',
      ({ now }) => `from ${now + 120}, now `,
      ({ now, sign }) => sign({ nbf: now + 120 }),
    ],
    [
      'that will have been issued',
      'caller_token_not_yet_valid',
      ({ now }) => `from ${now + 120}, now `,
      ({ now, sign }) => sign({ iat: now + 120 }),
    ],
    [
      'that lives for a year',
      'caller_token_too_long_lived',
      '31536000 s',
      ({ now, sign }) => sign({ iat: now, nbf: now, exp: now + 31_536_000 }),
    ],
    [
      'that lives for a year and does not say since when',
      'caller_token_too_long_lived',
      ' s, at most ',
      ({ now, sign }) => sign({ iat: undefined, nbf: undefined, exp: now + 31_536_000 }),
    ],
    ['that never expires', 'caller_claim_missing', 'exp', (good) => good.sign({ exp: undefined })],
    [
      'whose expiry is text',
      'caller_claim_missing',
      'exp',
      ({ now, sign }) => sign({ exp: String(now + 300) }),
    ],
    ['whose start is text', 'caller_claim_missing', 'nbf', (good) => good.sign({ nbf: 'now' })],
  ],
  type: [
    [
      'of the type of a client assertion',
      'caller_token_malformed',
      'another type',
      (good) => good.sign({}, { typ: 'client-authentication+jwt' }),
    ],
    [
      'of the type of a DPoP proof',
      'caller_token_malformed',
      'another type',
      (good) => good.sign({}, { typ: 'dpop+jwt' }),
    ],
  ],
  subject: [
    ['of nobody', 'caller_claim_missing', 'sub', (good) => good.sign({ sub: undefined })],
    ['of somebody without a name', 'caller_claim_missing', 'sub', (good) => good.sign({ sub: '' })],
    ['whose subject is a number', 'caller_claim_missing', 'sub', (good) => good.sign({ sub: 1 })],
  ],
  chain: [
    [
      'of an application that we sign for, in v2',
      'caller_is_ourselves',
      'appid or azp',
      ({ ownClientId, sign }) => sign({ azp: ownClientId }),
    ],
    [
      'of an application that we sign for, in v1 and capitals',
      'caller_is_ourselves',
      'appid or azp',
      ({ ownClientId, sign }) => sign({ appid: ownClientId.toUpperCase() }),
    ],
  ],
  size: [
    [
      'longer than 16 KiB',
      'caller_token_malformed',
      'too long',
      (good) => good.sign({ padding: 'x'.repeat(16 * 1024) }),
    ],
    [
      'nested nine deep',
      'caller_token_malformed',
      'nested too deep',
      (good) => good.sign({ deep: [[[[[[[[1]]]]]]]] }),
    ],
  ],
  encoding: [
    [
      'that is a personal access token, which is stronger than ours',
      'caller_token_malformed',
      'not three parts',
      () => 'ghs_16C7e42F292c6912E7710c838347Ae178B4a',
    ],
    [
      'with padding',
      'caller_token_malformed',
      'not base64url',
      async (good) => `${await good.sign()}==`,
    ],
    [
      'with a letter of another alphabet',
      'caller_token_malformed',
      'not base64url',
      async (good) => `+${await good.sign()}`,
    ],
    [
      'in four parts',
      'caller_token_malformed',
      'not three parts',
      async (good) => `${await good.sign()}.AA`,
    ],
    [
      'with an id that is not exact',
      'caller_token_malformed',
      'a number that is not exact',
      (good) => rewritten(good, 1, (json) => json.replace('{', '{"id":9007199254740993,')),
    ],
    [
      'with two subjects',
      'caller_token_malformed',
      'a member twice',
      (good) => rewritten(good, 1, (json) => json.replace('{', '{"sub":"admin",')),
    ],
  ],
}

/**
 * The same for one kind. Some say by `sub` whose token it is, so that without it it is nobody's; and what
 * a trust domain says in `iss` is nobody's business.
 */
export function tokenFaultsOf(
  namedBy: 'iss' | 'sub' | 'iss and sub',
): readonly (readonly [Aspect, ...TokenFault])[] {
  return (Object.keys(tokenFaults) as Aspect[])
    .filter((aspect) => aspect !== 'issuer' || namedBy !== 'sub')
    .flatMap((aspect) =>
      tokenFaults[aspect].map(([name, reason, detail, mint]) =>
        aspect === 'subject' && namedBy !== 'iss'
          ? ([aspect, name, 'caller_issuer_unknown', '', mint] as const)
          : ([aspect, name, reason, detail, mint] as const),
      ),
    )
}
