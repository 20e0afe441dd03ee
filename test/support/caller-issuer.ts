import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT, type JWK } from 'jose'
import { parseIssuerName, type IssuerName } from '../../src/base/ids.ts'

/** A key of an issuer: it signs tokens, and its JWK is what a key set shows. */
export interface IssuerKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly jwk: JWK
}

const keyPairs = {
  RSA: (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits }),
  EC: (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }),
  Ed25519: () => generateKeyPairSync('ed25519'),
}

/** A fresh key for an algorithm; RSA of 2048 bits unless told. */
export function createIssuerKey(kid: string, alg = 'RS256', rsaBits = 2048): IssuerKey {
  const { publicKey, privateKey } = keyPairFor(alg, rsaBits)
  const jwk = publicKey.export({ format: 'jwk' }) as JWK
  return { kid, alg, privateKey, jwk: { ...jwk, kid, use: 'sig', alg } }
}

function keyPairFor(alg: string, rsaBits: number) {
  if (alg === 'EdDSA') return keyPairs.Ed25519()
  if (alg.startsWith('ES')) return keyPairs.EC(alg === 'ES512' ? 'P-521' : `P-${alg.slice(2)}`)
  return keyPairs.RSA(rsaBits)
}

export type Claims = Readonly<Record<string, unknown>>

/** Signs a JWT; members that are undefined are left out. */
export const signToken = (key: IssuerKey, claims: Claims, header: Claims = {}): Promise<string> =>
  new SignJWT({ ...claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
    .sign(key.privateKey)

/** What an address answers: JSON with status 200, or anything else that a server can do. */
export type Answer = { readonly json: unknown } | { readonly raw: RequestListener }

/** An issuer on loopback with discovery and keys, whose every answer can be changed. */
export interface LoopbackIssuer {
  readonly url: string
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[]
  /** Shows these keys from now on. */
  publish(...keys: readonly (IssuerKey | JWK)[]): void
  /** Answers a path otherwise from now on. */
  answer(path: string, answer: Answer): void
  close(): Promise<void>
}

export const discoveryPath = '/.well-known/openid-configuration'
export const keysPath = '/keys'

export async function startLoopbackIssuer(...keys: readonly IssuerKey[]): Promise<LoopbackIssuer> {
  const answers = new Map<string, Answer>()
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const answer = answers.get(path)
    if (answer === undefined) {
      response.writeHead(404).end()
    } else if ('raw' in answer) {
      answer.raw(request, response)
    } else {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer.json))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const publish: LoopbackIssuer['publish'] = (...shown) => {
    answers.set(keysPath, { json: { keys: shown.map((key) => ('jwk' in key ? key.jwk : key)) } })
  }
  answers.set(discoveryPath, { json: { issuer: url, jwks_uri: `${url}${keysPath}` } })
  publish(...keys)
  return {
    url,
    asked,
    publish,
    answer: (path, answer) => void answers.set(path, answer),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

/** @throws TypeError for a name that is none. */
export function issuerName(text: string): IssuerName {
  const name = parseIssuerName(text)
  if (name === undefined) throw new TypeError(`${text} is no issuer name`)
  return name
}
