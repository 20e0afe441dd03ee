import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { takeApart } from '../../src/caller/compact-token.ts'
import { callerAlgorithms } from '../../src/base/caller-algorithms.ts'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { createKeySource } from '../../src/caller/key-source.ts'
import { proveSignature } from '../../src/caller/signature-proof.ts'
import { issuerName } from '../support/caller-issuer.ts'
import { fixedClock } from '../support/fixed-clock.ts'

/**
 * Published verdicts on JWS verification (C2SP/wycheproof), put to the two steps of ours that they
 * are about: taking a compact JWS apart, and proving its signature with a key of a JWKS.
 */
const folder = new URL('../../../shared/vectors/', import.meta.url)
const signatures = new URL('json_web_signature_test.json', folder)
const keySets = new URL('json_web_key_test.json', folder)

const vectorFile = z.object({
  testGroups: z.array(
    z.object({
      comment: z.string(),
      public: z.record(z.string(), z.unknown()).optional(),
      private: z.record(z.string(), z.unknown()).optional(),
      tests: z.array(
        z.object({
          tcId: z.int(),
          comment: z.string(),
          jws: z.string(),
          result: z.enum(['valid', 'invalid', 'acceptable']),
        }),
      ),
    }),
  ),
})

interface Vector {
  readonly name: string
  readonly jws: string
  readonly valid: boolean
  /** As an issuer would show it: one key, or the whole set. */
  readonly jwks: unknown
  readonly symmetric: boolean
}

function readVectors(file: URL): readonly Vector[] {
  const { testGroups } = vectorFile.parse(JSON.parse(readFileSync(file, 'utf8')))
  return testGroups.flatMap((group) => {
    const shown = group.public ?? group.private ?? {}
    const jwks = 'keys' in shown ? shown : { keys: [shown] }
    return group.tests.map(({ tcId, comment, jws, result }) => ({
      name: `${group.comment} ${tcId}: ${comment}`,
      jws,
      valid: result !== 'invalid',
      jwks,
      symmetric: group.public === undefined,
    }))
  })
}

/** Whether our own steps accept it: every algorithm that we know is listed, and any payload will do. */
async function accepts({ jws, jwks }: Vector): Promise<boolean> {
  const apart = takeApart(jws)
  if (!apart.ok) return false
  const name = issuerName('vectors')
  const jwksUri = new URL('https://vectors.example/keys')
  const keys = createKeySource({
    issuer: name,
    location: { jwksUri },
    fetchJson: () => Promise.resolve(jwks),
    clock: fixedClock(1_795_000_000),
    onIssuerAway: (failure) => {
      throw failure
    },
  })
  const settings = {
    kind: 'oidc',
    name,
    issuer: 'https://vectors.example',
    audience: 'vectors',
    algorithms: callerAlgorithms,
    require: [],
    maxTokenSeconds: 1,
  } as const
  const signed = { text: jws, sha256: sha256Base64url(jws), header: apart.header }
  return (await proveSignature(signed, { settings }, keys)).ok
}

const namesOf = async (vectors: readonly Vector[], accepted: boolean) => {
  const found: string[] = []
  for (const vector of vectors) if ((await accepts(vector)) === accepted) found.push(vector.name)
  return found
}

function describeVectors(vectors: readonly Vector[]) {
  it('are all there', () => {
    expect(vectors).toHaveLength(427)
  })

  it('are refused wherever they are invalid, but for one weakness that is not visible in use', async () => {
    const invalid = vectors.filter(({ valid }) => !valid)
    expect(invalid.length).toBeGreaterThan(300)
    expect(await namesOf(invalid, true)).toEqual([
      // CVE-2017-15361: the primes of one maker's chips. Whoever lists an issuer trusts how it makes keys.
      'jws_rsa_roca_key 7: rejectsKeyWithRocaVulnerability',
    ])
  })

  it('are accepted wherever a public key makes them valid, but for what no JWT of an issuer is', async () => {
    const valid = vectors.filter((vector) => vector.valid && !vector.symmetric)
    expect(valid).toHaveLength(37)
    expect(await namesOf(valid, false)).toEqual([
      // Claims are never empty.
      'rs256 259: emptyPayload',
      'rs384 264: emptyPayload',
      'rs512 268: emptyPayload',
      'ps256 272: emptyPayload',
      'ps384 320: emptyPayload',
      'ps512 325: emptyPayload',
      // The key says `alg: PS256` and the header PS384; the key says ES521, which does not exist.
      'rfc7520 346: Figure20',
      'rfc7520 347: Figure27',
      'rfc7520WithKeyOps 350: Figure20',
      'rfc7520WithKeyOps 351: Figure27',
    ])
  })

  it('are refused wherever the key is symmetric', async () => {
    const symmetric = vectors.filter((vector) => vector.symmetric)
    expect(symmetric.length).toBeGreaterThan(40)
    expect(await namesOf(symmetric, true)).toEqual([])
  })
}

describe('published JWS and JWK vectors', () => {
  if (existsSync(signatures) && existsSync(keySets)) {
    describeVectors([...readVectors(signatures), ...readVectors(keySets)])
  } else {
    it('are left out, because ../shared/vectors is not beside this repository', () => {
      expect(existsSync(folder)).toBe(false)
    })
  }
})
