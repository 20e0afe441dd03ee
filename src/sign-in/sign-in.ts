/** A person, as the issuer of the sign-in vouches. */
export interface Person {
  /** URL of the issuer: no name of the configuration is one. */
  readonly issuer: string
  readonly subject: string
}

/** What a sign-in that was begun is held to when the person comes back; it is for their browser alone. */
export interface BegunSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** Lets people sign in at an issuer of the operator's, and says which of them may look. */
export interface PersonSignIn {
  /** @throws SignInError when the issuer cannot be asked. */
  begin(): Promise<{ readonly begun: BegunSignIn; readonly authorizationUrl: string }>
  /**
   * Once, whatever comes of it: the issuer is asked about nobody again by what was begun once.
   *
   * @param query Of the address that the issuer sent the browser to, with its question mark.
   * @param network Where the browser is; undefined where one network is everybody, as behind a proxy.
   * @throws SignInError
   */
  finish(query: string, begun: BegunSignIn, network: string | undefined): Promise<Person>
}

export type SignInErrorCode =
  | 'SIGN_IN_UNAVAILABLE' // the issuer does not answer, or what it says cannot be understood
  | 'SIGN_IN_BUSY' // as many come back at once as may, in all or from one network
  | 'SIGN_IN_REFUSED' // what came back proves nobody
  | 'SIGN_IN_NOT_NAMED' // somebody whom `require` does not name

/** The cause is for the protected log. */
export class SignInError extends Error {
  override readonly name = 'SignInError'
  readonly code: SignInErrorCode

  constructor(code: SignInErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}
