import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { parse, stringify } from 'yaml'
import { freePort } from '../support/free-port.ts'
import { changeFile } from '../support/ledger-store.ts'
import {
  oidOfEve,
  pageClient,
  type PeopleIssuer,
  startPeopleIssuer,
} from '../support/people-issuer.ts'
import { expectNothingPrivate } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  type ConfigurationFile,
  defaultGrants,
  type GrantFile,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { lineOf } from '../support/turned-away.ts'

const auditors: GrantFile = {
  grant: 'auditors',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ audit: 'read' }],
}

let service: TestService
let issuer: PeopleIssuer
let publicUrl: string
let folder: string
beforeAll(async () => {
  const port = await freePort()
  publicUrl = `http://127.0.0.1:${port}`
  issuer = await startPeopleIssuer(`${publicUrl}/audit/signed-in`)
  folder = mkdtempSync(join(tmpdir(), 'countersign-page-secret-'))
  const clientSecretFile = join(folder, 'client-secret')
  writeFileSync(clientSecretFile, `${pageClient.clientSecret}\n`)
  service = await startTestService({
    configuration: (file) => ({
      ...file,
      publicUrl,
      listen: { host: '127.0.0.1', port, maxRequestsPerCaller: 2, maxConnectionsPerAddress: 1000 },
      audit: {
        oidc: {
          issuer: issuer.origin,
          clientId: pageClient.clientId,
          clientSecretFile,
          require: { team: 'audit' },
        },
      },
    }),
    grants: [...defaultGrants, auditors],
  })
})
afterAll(async () => {
  await service.stop()
  await issuer.close()
  rmSync(folder, { recursive: true })
})

const auditor = () => service.callerToken('gitlab', { audience: publicUrl })
const navigating = {
  'sec-fetch-site': 'none',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
}
const fromIssuer = { ...navigating, 'sec-fetch-site': 'cross-site' }

const cookieIn = ({ headers }: Answer): string =>
  required(String(headers['set-cookie'] ?? '').split(';', 1)[0])

/** What a browser does up to the issuer: the cookie that it has, and where it is sent. */
async function begin(): Promise<{ readonly cookie: string; readonly to: URL }> {
  const answer = await service.ask('GET /audit/sign-in', { headers: navigating })
  expect(answer.status).toBe(303)
  return { cookie: cookieIn(answer), to: new URL(String(answer.headers.location)) }
}

/** What a browser does at the issuer for whoever signs in by that name; returns where it is sent back to. */
async function atIssuer(to: URL, login: string): Promise<string> {
  const jar = new Map<string, string>()
  const go = async (url: URL, body?: URLSearchParams): Promise<Response> => {
    const response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(body === undefined ? {} : { body }),
    })
    for (const set of response.headers.getSetCookie()) {
      const [pair = ''] = set.split(';', 1)
      const at = pair.indexOf('=')
      jar.set(pair.slice(0, at), pair.slice(at + 1))
    }
    return response
  }
  let url = to
  for (let steps = 0; steps < 12; steps += 1) {
    let response = await go(url)
    if (response.status === 200) {
      const text = await response.text()
      const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1] ?? ''
      const action = /action="([^"]+)"/.exec(text)?.[1] ?? ''
      response = await go(
        new URL(action, url),
        new URLSearchParams({ prompt, login, password: 'x' }),
      )
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`${url.href} leads nowhere: ${response.status}`)
    if (location.startsWith(publicUrl)) return location.slice(publicUrl.length)
    url = new URL(location, url)
  }
  throw new Error('the issuer sends nobody back')
}

const comeBack = (path: string, cookie?: string) =>
  service.ask(`GET ${path}`, {
    headers: { ...fromIssuer, ...(cookie === undefined ? {} : { cookie }) },
  })

async function signedIn(login: string): Promise<Answer> {
  const { cookie, to } = await begin()
  return comeBack(await atIssuer(to, login), cookie)
}

const look = (cookie?: string, headers: Record<string, string> = fromIssuer) =>
  service.ask('GET /audit', {
    headers: { ...headers, ...(cookie === undefined ? {} : { cookie }) },
  })

describe('the page, for a program', () => {
  test('is shown to a caller whose grant says so, and that is in the ledger', async () => {
    await service.ask('POST /v1/token', {
      token: await service.callerToken('github', { audience: publicUrl }),
      json: ordersAsk,
    })
    service.newEntries()
    const answer = await service.ask('GET /audit', { token: await auditor() })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(answer.headers['content-security-policy']).toMatch(
      /^default-src 'none';.*frame-ancestors 'none'$/,
    )
    expect(answer.text).toContain('no log of a vault was looked at')
    expect(answer.text).toContain('repo:fabrikam/billing')
    expect(service.newEntries()).toMatchObject([
      { kind: 'audit.read', read: 'report', grant: 'auditors', caller: { issuer: 'gitlab' } },
    ])
  })

  test('is not shown to others', async () => {
    const token = await service.callerToken('github', { audience: publicUrl })
    const refused = await service.ask('GET /audit', { token })
    expect(refused).toMatchObject({ status: 403, body: { code: 'not_granted' } })
    expectNothingPrivate(refused, service, { token })
    expect(await service.ask('GET /audit')).toMatchObject({ status: 401 })
  })

  test('is not shown to a page of another site, nor in a frame, whoever looks', async () => {
    const session = cookieIn(await signedIn('ada'))
    for (const headers of [
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    ]) {
      expect(await look(session, headers)).toMatchObject({
        status: 403,
        body: { code: 'cross_site' },
      })
    }
    const framed = {
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'iframe',
    }
    expect((await look(session, framed)).status).toBe(401)
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'])('changes nothing by %s', async (method) => {
    const answer = await service.ask(`${method} /audit`, { token: await auditor() })
    expect(answer.status).toBe(405)
  })
})

describe('a person', () => {
  test('is sent to sign in, with PKCE, a state and a nonce, and sees the page', async () => {
    const sent = await look()
    expect(sent).toMatchObject({ status: 303, headers: { location: '/audit/sign-in' } })
    const { to } = await begin()
    expect(to.origin).toBe(issuer.origin)
    expect(Object.fromEntries(to.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      redirect_uri: `${publicUrl}/audit/signed-in`,
    })
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(to.searchParams.get(name)).toMatch(/^[\w-]{43}$/)
    }
    const back = await signedIn('ada')
    expect(back).toMatchObject({ status: 303, headers: { location: '/audit' } })
    expect(back.headers['set-cookie']).toMatch(
      /^__Host-countersign-audit=[\w-]+; Path=\/; Max-Age=1800; Secure; HttpOnly; SameSite=Lax$/,
    )
    await service.service.auditReads.roll('every')
    service.newEntries()
    const page = await look(cookieIn(back))
    expect(page.status).toBe(200)
    expect(page.text).toContain('href="/audit/sign-out"')
    expect(service.newEntries()).toMatchObject([
      { kind: 'audit.read', read: 'report', caller: { issuer: issuer.origin, subject: 'ada' } },
    ])
  })

  test.each([
    ['eve', `subject eve, oid ${oidOfEve}`],
    ['nobody-knows-me', 'subject nobody-knows-me'],
  ])('without the claim is refused: %s', async (login, detail) => {
    await service.service.turnedAway.roll('every')
    service.newEntries()
    const back = await signedIn(login)
    expect(back.status).toBe(403)
    expect(back.text).toContain('This page is not for you')
    expect(back.text).not.toContain(login)
    expect(back.headers).not.toHaveProperty('set-cookie')
    await service.service.turnedAway.roll('every')
    expect(service.newEntries()).toMatchObject([
      { kind: 'service.turned-away', reason: 'sign_in_not_named' },
    ])
    // The operator finds out who it was, so that somebody can be named.
    expect(lineOf(service, back)).toMatchObject({ detail })
  })

  test('comes back with what this browser has begun, or is not signed in', async () => {
    const { cookie, to } = await begin()
    const path = await atIssuer(to, 'ada')
    const before = issuer.tokenRequests()
    const other = await begin()
    for (const [way, kept] of [
      [path, undefined],
      [path, other.cookie],
      [path, '__Host-countersign-audit=AAAA'],
      [path.replace(/state=[^&]+/, 'state=eve-was-here'), cookie],
      ['/audit/signed-in?error=access_denied&error_description=eve-was-here', cookie],
      ['/audit/signed-in', cookie],
    ] as const) {
      const answer = await comeBack(way, kept)
      expect(answer.status).toBe(403)
      expect(answer.text).toContain('You are not signed in')
      expect(answer.text).not.toContain('eve')
      expect(answer.headers).not.toHaveProperty('set-cookie')
    }
    // None of them was worth a question to the issuer.
    expect(issuer.tokenRequests()).toBe(before)
    expect((await comeBack(path, cookie)).status).toBe(303)
    expect(issuer.tokenRequests()).toBe(before + 1)
    expect((await comeBack(path, cookie)).status).toBe(403)
    expect(issuer.tokenRequests()).toBe(before + 1)
  })

  test('of a network of many waits for a place that others of it have', async () => {
    const begun = await Promise.all(Array.from({ length: 6 }, () => begin()))
    const paths = await Promise.all(begun.map(({ to }) => atIssuer(to, 'ada')))
    const answers = await Promise.all(paths.map((path, at) => comeBack(path, begun[at]?.cookie)))
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([303, 503]))
    const waiting = statuses.indexOf(503)
    expect((await comeBack(required(paths[waiting]), begun[waiting]?.cookie)).status).toBe(303)
  })

  test('is not signed in by what only begins a sign-in, nor for ever', async () => {
    expect((await look((await begin()).cookie)).status).toBe(303)
    const session = cookieIn(await signedIn('ada'))
    expect((await look(session)).status).toBe(200)
    service.emulator.clock.shift(30 * 60 + 1)
    expect(await look(session)).toMatchObject({
      status: 303,
      headers: { location: '/audit/sign-in' },
    })
    expect((await look(`${session}x`)).status).toBe(303)
  })

  test('stays signed in when any page leads the browser to begin again', async () => {
    const browser = new Map<string, string>()
    const keep = (pair: string) => browser.set(...(pair.split('=', 2) as [string, string]))
    keep(cookieIn(await signedIn('ada')))
    keep((await begin()).cookie)
    const cookie = [...browser].map(([name, value]) => `${name}=${value}`).join('; ')
    expect((await look(cookie)).status).toBe(200)
  })

  test('signs out by a button of this page, and by no other', async () => {
    const page = await service.ask('GET /audit/sign-out', { headers: navigating })
    expect(page.text).toContain('<form method="post" action="/audit/sign-out">')
    const elsewhere = { origin: 'https://page.example', 'sec-fetch-site': 'cross-site' }
    expect((await service.ask('POST /audit/sign-out', { headers: elsewhere })).status).toBe(403)
    const here = { origin: publicUrl, 'sec-fetch-site': 'same-origin' }
    const out = await service.ask('POST /audit/sign-out', { headers: here })
    expect(out.status).toBe(200)
    expect(out.headers['set-cookie']).toMatch(/^__Host-countersign-audit=; Path=\/; Max-Age=0;/)
  })
})

/** What `countersign.yaml` says about people, in force when this resolves. */
async function configure(oidc: object | undefined): Promise<void> {
  const file = join(service.folder, 'countersign.yaml')
  const before = parse(readFileSync(file, 'utf8')) as ConfigurationFile
  const audit = oidc === undefined ? undefined : { oidc }
  writeFileSync(file, stringify({ ...before, audit }))
  await looked()
}

async function looked(): Promise<void> {
  const { configuration } = service.service.reloading
  await configuration.look()
  expect(configuration.standing).toBe('in-force')
}

describe('who may look', () => {
  const oidc = () => ({
    issuer: issuer.origin,
    clientId: pageClient.clientId,
    clientSecretFile: join(folder, 'client-secret'),
  })
  const named = () => configure({ ...oidc(), require: { team: 'audit' } })
  const asOneOf = (...teams: readonly string[]) =>
    configure({ ...oidc(), require: { team: teams } })
  const toSignIn = { status: 303, headers: { location: '/audit/sign-in' } }
  beforeEach(() => named())
  afterEach(() => named())

  test('is judged anew when somebody is not named any more: no session outlives that', async () => {
    await asOneOf('audit', 'sales')
    const [ada, eve] = [cookieIn(await signedIn('ada')), cookieIn(await signedIn('eve'))]
    expect((await look(eve)).status).toBe(200)
    service.newEntries()
    await named()
    expect(service.newEntries()).toMatchObject([
      { kind: 'configuration.loaded', changed: ['audit'] },
    ])
    expect(await look(eve)).toMatchObject(toSignIn)
    expect((await signedIn('eve')).status).toBe(403)
    // Whoever is still named is asked about once more, and goes on.
    expect(await look(ada)).toMatchObject(toSignIn)
    expect((await look(cookieIn(await signedIn('ada')))).status).toBe(200)
  })

  test('stays signed in when something else of the configuration changes', async () => {
    const session = cookieIn(await signedIn('ada'))
    const file = join(service.folder, 'countersign.yaml')
    const before = parse(readFileSync(file, 'utf8')) as ConfigurationFile
    writeFileSync(file, stringify({ ...before, expect: { addresses: ['203.0.113.9'] } }))
    service.newEntries()
    await looked()
    expect(service.newEntries()).toMatchObject([{ changed: ['expect'] }])
    expect((await look(session)).status).toBe(200)
  })

  test('is not shown a page that was being made when they were named last', async () => {
    await asOneOf('audit', 'sales')
    const eve = cookieIn(await signedIn('eve'))
    service.emulator.clock.shift(60)
    await service.service.auditReads.roll('every')
    service.newEntries()
    const looking = look(eve)
    await expect
      .poll(() => service.newEntries(), { interval: 5 })
      .toMatchObject([{ read: 'report' }])
    await named()
    expect(await looking).toMatchObject(toSignIn)
  })

  test('comes back in vain with what was begun before', async () => {
    await asOneOf('audit', 'sales')
    const { cookie, to } = await begin()
    const path = await atIssuer(to, 'eve')
    await named()
    expect((await comeBack(path, cookie)).status).toBe(403)
  })

  test('is nobody without the section, and people again with it', async () => {
    const session = cookieIn(await signedIn('ada'))
    await configure(undefined)
    expect((await look(session, navigating)).status).toBe(401)
    expect((await service.ask('GET /audit/sign-in', { headers: navigating })).status).toBe(404)
    await named()
    expect((await look(session)).status).toBe(200)
  })

  test('signs in anew when the client secret was replaced, of which no entry has anything', async () => {
    const session = cookieIn(await signedIn('ada'))
    service.newEntries()
    writeFileSync(join(folder, 'client-secret'), 'another-secret-that-is-long-enough\n')
    await looked()
    expect(await look(session)).toMatchObject(toSignIn)
    writeFileSync(join(folder, 'client-secret'), `${pageClient.clientSecret}\n`)
    await looked()
    const [away, back] = service.newEntries()
    expect([away, back]).toMatchObject([{ changed: ['audit'] }, { changed: ['audit'] }])
    expect({ ...back, atMs: 0 }).toEqual({ ...away, atMs: 0 })
    expect((await look(cookieIn(await signedIn('ada')))).status).toBe(200)
  })
})

// The last, because the ledger is not the same behind it.
test('a ledger that was changed is shown as broken', async () => {
  service.emulator.clock.shift(60)
  changeFile(
    service.ledgerFile,
    `UPDATE entry SET canonical = replace(canonical, '"kind"', '"Kind"') WHERE sequence = 2`,
  )
  const answer = await service.ask('GET /audit', { token: await auditor() })
  expect(answer.status).toBe(200)
  expect(answer.text).toContain('the ledger does not verify')
})
