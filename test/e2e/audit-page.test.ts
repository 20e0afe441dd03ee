import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingBrowser, openBrowser } from '../support/browser.ts'
import { freePort } from '../support/free-port.ts'
import { pageClient, type PeopleIssuer, startPeopleIssuer } from '../support/people-issuer.ts'
import {
  deployAsk,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** The live page in a real browser, whose people sign in at an issuer that shares no code with us. */

const title =
  missingBrowser === undefined
    ? 'the live page in a browser'
    : `LEFT OUT: the live page in a browser, because ${missingBrowser}`

describe.skipIf(missingBrowser !== undefined)(title, () => {
  let browser: Browser
  let issuer: PeopleIssuer
  let service: TestService
  let context: BrowserContext
  let page: Page
  beforeAll(async () => {
    const port = await freePort()
    const publicUrl = `http://127.0.0.1:${port}`
    issuer = await startPeopleIssuer(`${publicUrl}/audit/signed-in`, 'public')
    service = await startTestService({
      configuration: (file) => ({
        ...file,
        publicUrl,
        listen: { host: '127.0.0.1', port },
        audit: {
          oidc: {
            issuer: issuer.origin,
            clientId: pageClient.clientId,
            require: { team: 'audit' },
          },
        },
      }),
    })
    const token = await service.callerToken('github', { audience: publicUrl })
    for (let i = 0; i < 4; i += 1) {
      await service.ask('POST /v1/assertion', { token, json: deployAsk })
    }
    await service.ask('POST /v1/token', { token, json: ordersAsk })
    browser = await openBrowser()
    context = await browser.newContext({ viewport: { width: 390, height: 844 } })
    page = await context.newPage()
  })
  afterAll(async () => {
    await browser.close()
    await service.stop()
    await issuer.close()
  })

  async function signInAs(login: string, on: Page): Promise<void> {
    await on.fill('input[name=login]', login)
    await on.fill('input[name=password]', 'x')
    await on.click('button[type=submit]')
    await on.waitForSelector('input[name=password]', { state: 'detached' })
    // The issuer asks whether that is meant.
    await on.click('button[type=submit]')
    // An address is there before its document is, and until then the browser refuses some commands.
    await on.waitForURL((url) => url.origin === service.origin, { waitUntil: 'load' })
  }

  test('somebody who is named signs in and sees the page, which asks for nothing and complains of nothing', async () => {
    const complaints: string[] = []
    await page.goto(`${service.origin}/audit`)
    expect(page.url()).toContain(issuer.origin)
    await signInAs('ada', page)
    expect(page.url()).toBe(`${service.origin}/audit`)
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    const requests: string[] = []
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(`${service.origin}/audit`)
    expect(await page.textContent('h1')).toContain('no log of a vault was looked at')
    expect(await page.textContent('#askers')).toContain('repo:fabrikam/billing')
    expect({ requests, complaints }).toEqual({
      requests: [`${service.origin}/audit`],
      complaints: [],
    })
  })

  test('it fits a phone, and its session is out of reach of any script', async () => {
    const wider = await page.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
    expect(wider).toBeLessThanOrEqual(0)
    expect(await page.evaluate('document.cookie')).toBe('')
    const screenshot = process.env['AUDIT_SCREENSHOT']
    if (screenshot !== undefined) await page.screenshot({ path: screenshot })
  })

  test('a link on a page of another site leads to it, and a frame there does not hold it', async () => {
    const other = await context.newPage()
    await other.route('http://localhost:9/**', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<a href="${service.origin}/audit">page</a><iframe src="${service.origin}/audit"></iframe>`,
      }),
    )
    await other.goto('http://localhost:9/')
    const [, frame] = other.frames()
    await frame?.waitForLoadState()
    expect(await frame?.content()).not.toContain('Countersign</')
    expect(await frame?.content()).not.toContain('repo:fabrikam')
    await other.click('a')
    expect(await other.textContent('h1')).toContain('no log of a vault was looked at')
    await other.close()
  })

  test('whoever signs out is asked to sign in again', async () => {
    await page.goto(`${service.origin}/audit`)
    await page.click('a[href="/audit/sign-out"]')
    await page.click('button')
    await page.waitForSelector('h1:text-is("You are signed out")')
    await page.click('a')
    // The issuer remembers them, as the page has said.
    await page.waitForURL(`${service.origin}/audit`)
  })

  test('somebody who is not named is told so, and sees nothing', async () => {
    const fresh = await browser.newPage()
    await fresh.goto(`${service.origin}/audit`)
    await signInAs('eve', fresh)
    expect(await fresh.textContent('h1')).toBe('This page is not for you')
    await fresh.goto(`${service.origin}/audit/sign-out`)
    expect(await fresh.content()).not.toContain('fabrikam')
    await fresh.close()
  })
})
