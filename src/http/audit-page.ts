import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { asAuditor, asPerson } from '../audit/audit.ts'
import type { AttemptId } from '../base/ids.ts'
import type { CookieSeal } from '../sign-in/cookie-seal.ts'
import {
  type Person,
  type PersonSignIn,
  SignInError,
  type SignInErrorCode,
} from '../sign-in/sign-in.ts'
import { networkOf } from './address-share.ts'
import type { Answer } from './answer.ts'
import { type AttemptHandler, attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { type AuditWords, htmlType, pageHeaders, wordsAnswer } from './audit-words.ts'
import { refuseCrossSite } from './cross-site.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { problemFromFailure } from './problem-from-failure.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'
import type { AuditRoutesDeps } from './v1-entries.ts'

export type AuditPageDeps = AuditRoutesDeps & {
  /** As HTML, with its Content-Security-Policy. */
  readonly page: () => Promise<AuditPage>
  /** Undefined where nobody can sign in: the page is for callers whose grant says so. */
  readonly people: PeopleDeps | undefined
}

interface AuditPage {
  readonly html: string
  readonly policy: string
}

export interface PeopleDeps {
  readonly signIn: PersonSignIn
  readonly seal: CookieSeal
  /** Whether everybody may come from one address, as from behind a proxy, or on loopback. */
  readonly addresses: 'of-somebody' | 'of-everybody'
}

const pagePath = '/audit'
const signInPath = '/audit/sign-in'
/** What an issuer has as redirect URI, below the public URL. */
export const signedInPath = '/audit/signed-in'
export const signOutPath = '/audit/sign-out'

/** `GET /audit`: the report page, for callers whose grant says so, and for people who have signed in. */
export const auditPageRoute = (inForce: () => AuditPageDeps): AttemptRoute =>
  pageRoute(inForce, async (request, attempt) => {
    const deps = inForce()
    const { people } = deps
    if (people !== undefined && isOfPerson(request)) {
      const answer = await pageForPerson(request, attempt, deps)
      // The page takes its time: whoever is not named any more by then is not shown it.
      return inForce().people === people ? answer : seeOther(signInPath)
    }
    refuseCrossSite(request)
    const proofs = presentedProofsOf(request)
    const outcome = await asAuditor({ attempt, proofs, read: 'report' }, deps, async () => ({
      ok: true as const,
      page: await deps.page(),
    }))
    return outcome.ok
      ? pageAnswer(outcome.page)
      : problemAnswer(problemFromRefusal(outcome.refusal), attempt)
  })

async function pageForPerson(
  request: IncomingMessage,
  attempt: AttemptId,
  deps: AuditPageDeps,
): Promise<Answer> {
  const kept = keptIn(request, sessionCookie, deps)
  if (kept?.is !== 'session') return seeOther(signInPath)
  const { issuer, subject } = kept
  const outcome = await asPerson({ issuer, subject }, { attempt, read: 'report' }, deps, () =>
    deps.page(),
  )
  return outcome.ok ? pageAnswer(outcome.told) : wordsAnswer({ status: 429, ...tooManyAtOnce })
}

const pageAnswer = ({ html, policy }: AuditPage): Answer => ({
  status: 200,
  contentType: htmlType,
  body: html,
  headers: pageHeaders(policy),
})

/** `GET /audit/sign-in`: sends the browser to where people sign in. */
export const signInRoute = (inForce: () => AuditPageDeps): AttemptRoute =>
  pageRoute(inForce, async () => {
    const { people, clock } = withPeople(inForce())
    const { begun, authorizationUrl } = await people.signIn.begin()
    const kept: Kept = { is: 'begun', ...begun, untilMs: clock.nowMs() + signInMs }
    return seeOther(authorizationUrl, cookieOf(begunCookie, people.seal.seal(kept), signInMs))
  })

/** `GET /audit/signed-in`: where the issuer sends the browser back to. */
export const signedInRoute = (inForce: () => AuditPageDeps): AttemptRoute =>
  pageRoute(inForce, async (request) => {
    const deps = withPeople(inForce())
    const kept = keptIn(request, begunCookie, deps)
    if (kept?.is !== 'begun') throw new SignInError('SIGN_IN_REFUSED')
    const { signIn, addresses } = deps.people
    const { remoteAddress = '' } = request.socket
    const network = addresses === 'of-everybody' ? undefined : networkOf(remoteAddress)
    const person = await signIn.finish(queryIn(request), kept, network)
    return seeOther(pagePath, cookieOf(sessionCookie, sessionOf(person, deps), sessionMs))
  })

const sessionOf = ({ issuer, subject }: Person, { people, clock }: WithPeople): string => {
  const kept: Kept = { is: 'session', issuer, subject, untilMs: clock.nowMs() + sessionMs }
  return people.seal.seal(kept)
}

/** `GET /audit/sign-out`: asks whether that is meant, because any page may link to it. */
export const signOutPageRoute = (inForce: () => AuditPageDeps): AttemptRoute =>
  pageRoute(inForce, () => {
    withPeople(inForce())
    return Promise.resolve(
      wordsAnswer({
        status: 200,
        title: 'Sign out',
        detail: 'The page for auditors is closed in this browser. Your issuer may remember you.',
        button: { path: signOutPath, text: 'Sign out' },
        link: { path: pagePath, text: 'Back to the page' },
      }),
    )
  })

/** `POST /audit/sign-out` */
export const signOutRoute = (inForce: () => AuditPageDeps): AttemptRoute =>
  attemptRoute(() => {
    withPeople(inForce())
    const said = wordsAnswer({
      status: 200,
      title: 'You are signed out',
      detail: 'This browser has forgotten you.',
      link: { path: signInPath, text: 'Sign in again' },
    })
    const forgotten = cookieOf(sessionCookie, '', 0)
    return Promise.resolve({ ...said, headers: { ...said.headers, 'set-cookie': forgotten } })
  }, inForce())

/** What a browser has kept for us, sealed. */
const keptSchema = z.discriminatedUnion('is', [
  z.object({
    is: z.literal('begun'),
    state: z.string(),
    nonce: z.string(),
    codeVerifier: z.string(),
    untilMs: z.number(),
  }),
  z.object({
    is: z.literal('session'),
    issuer: z.string(),
    subject: z.string(),
    untilMs: z.number(),
  }),
])
type Kept = z.output<typeof keptSchema>

/** To find one's password. */
const signInMs = 10 * 60_000
/** Whoever was taken out of a group may look for so long at most. */
const sessionMs = 30 * 60_000

/** Its prefix makes browsers refuse one that came otherwise, from a sister site for one. */
const sessionCookie = '__Host-countersign-audit'
/** Of its own, because any page may lead a browser to begin, and a session stays what it is. */
const begunCookie = '__Host-countersign-audit-begun'

const cookieOf = (name: string, value: string, lifeMs: number): string =>
  `${name}=${value}; Path=/; Max-Age=${lifeMs / 1000}; Secure; HttpOnly; SameSite=Lax`

function keptIn(
  { headers: { cookie = '' } }: IncomingMessage,
  name: string,
  { people, clock }: Pick<AuditPageDeps, 'people' | 'clock'>,
): Kept | undefined {
  const sealed = cookie
    .split(';')
    .map((one) => one.trim())
    .find((one) => one.startsWith(`${name}=`))
  const opened = people?.seal.open(sealed?.slice(name.length + 1) ?? '')
  const { data } = keptSchema.safeParse(opened)
  return data !== undefined && clock.nowMs() < data.untilMs ? data : undefined
}

type WithPeople = AuditPageDeps & { readonly people: PeopleDeps }

function withPeople(deps: AuditPageDeps): WithPeople {
  const { people } = deps
  if (people !== undefined) return { ...deps, people }
  throw new RequestProblem('not_found', 'Nobody can sign in here. See /openapi.yaml.')
}

const seeOther = (location: string, cookie?: string): Answer => ({
  status: 303,
  contentType: 'text/plain; charset=utf-8',
  body: '',
  headers: {
    location,
    'referrer-policy': 'no-referrer',
    ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
  },
})

const queryIn = ({ url = '' }: IncomingMessage): string => {
  const start = url.indexOf('?')
  return start === -1 ? '' : url.slice(start)
}

/**
 * Somebody at a browser, who looks at a page of ours and not at one that holds it: programs say who they are. A
 * browser that does not say what it asks for wants HTML.
 */
function isOfPerson({ headers }: IncomingMessage): boolean {
  if (headers.authorization !== undefined) return false
  const mode = headers['sec-fetch-mode']
  if (mode === undefined) return (headers.accept ?? '').includes('text/html')
  return mode === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

/**
 * A route that other sites may lead to: the issuer of the sign-in does. It tells nothing to them, and changes nothing; what
 * comes back from an issuer is held to what this browser has kept.
 */
const pageRoute = (inForce: () => AuditPageDeps, handle: AttemptHandler<IncomingMessage>) => {
  const told: AttemptHandler<IncomingMessage> = async (request, attempt, gone) => {
    try {
      return await handle(request, attempt, gone)
    } catch (error) {
      if (!(error instanceof SignInError) || !isOfSomebody(error.code)) throw error
      const { turnedAway, events } = inForce()
      const reason = error.code.toLowerCase()
      turnedAway.count(reason, undefined)
      events.turnedAway(attempt, reason, undefined, causeText(error))
      return wordsAnswer(signInWords[error.code])
    }
  }
  return attemptRoute(
    told,
    inForce(),
    (error, attempt, request) => {
      if (error instanceof SignInError) return wordsAnswer(signInWords[error.code])
      const problem = problemFromFailure(error)
      return isOfPerson(request) ? wordsAnswer(problem) : problemAnswer(problem, attempt)
    },
    () => undefined,
  )
}

/** Anybody can bring that about, so that it is counted. */
const isOfSomebody = (code: SignInErrorCode) =>
  code === 'SIGN_IN_REFUSED' || code === 'SIGN_IN_NOT_NAMED'

const causeText = ({ cause }: SignInError): string =>
  cause instanceof Error ? cause.message : 'the browser has kept nothing of a sign-in'

const again = { path: signInPath, text: 'Sign in again' }

const signInWords: Readonly<Record<SignInErrorCode, AuditWords>> = {
  SIGN_IN_REFUSED: {
    status: 403,
    title: 'You are not signed in',
    detail: 'What came back from the issuer proves nobody: it was late, or was begun elsewhere.',
    link: again,
  },
  SIGN_IN_NOT_NAMED: {
    status: 403,
    title: 'This page is not for you',
    detail: 'You are signed in, and the operator of this service has not named you.',
    link: again,
  },
  SIGN_IN_UNAVAILABLE: {
    status: 503,
    title: 'Nobody can sign in now',
    detail: 'The issuer does not answer. Try again later.',
    link: again,
  },
  SIGN_IN_BUSY: {
    status: 503,
    title: 'Too many sign in at once',
    detail: 'Try again in a moment.',
    link: again,
  },
}

const tooManyAtOnce = {
  title: 'You look at it too often at once',
  detail: 'Wait until the page is there.',
}
