import type { RequestHandler } from 'express'
import { jsonAnswer, writeAnswer } from './answer.ts'
import { tokenExchange } from './oauth-token.ts'

/** What clients are told of this service before they ask it for anything. */
export interface AuthorizationServer {
  /** Origin under which callers reach the service: the only source of every URL that is told. */
  readonly publicUrl: string
  /** Of the tokens of callers; each issuer has its own of them. */
  readonly algorithms: readonly string[]
  /** Whether client certificates prove callers too. */
  readonly clientCertificates: 'proof' | 'no-proof'
}

/** `GET /.well-known/oauth-authorization-server` (RFC 8414). */
export const oauthMetadataRoute =
  (server: () => AuthorizationServer): RequestHandler =>
  (_request, response) => {
    writeAnswer(response, jsonAnswer(200, metadataOf(server())))
  }

function metadataOf({ publicUrl, algorithms, clientCertificates }: AuthorizationServer) {
  return {
    issuer: publicUrl,
    token_endpoint: `${publicUrl}/oauth2/token`,
    // Nobody is sent here to sign in (RFC 8414 §2 wants the member all the same).
    response_types_supported: [],
    grant_types_supported: ['client_credentials', tokenExchange],
    token_endpoint_auth_methods_supported: [
      'private_key_jwt',
      ...(clientCertificates === 'proof' ? ['tls_client_auth'] : []),
      // Of a token exchange, where the subject token is the proof.
      'none',
    ],
    token_endpoint_auth_signing_alg_values_supported: algorithms,
  }
}
