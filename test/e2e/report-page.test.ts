import { once } from 'node:events'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reportPage } from '../../src/reconcile/report-page.ts'
import type { ReportView } from '../../src/reconcile/report-view.ts'
import {
  allLooks,
  pictureOf,
  screenSizeOf,
  shownLooks,
  sizeOf,
} from '../support/audit/report-looks.ts'
import {
  bareView,
  calmView,
  foundView,
  unexplainedFinding,
  viewStartMs,
} from '../support/audit/report-views.ts'
import { missingBrowser, openBrowser } from '../support/browser.ts'

/** The auditor's page in a real browser, opened from a file. */

/** Where pictures are kept; absent: nowhere. See scripts/write-screenshots.ts. */
const screenshots = process.env['SCREENSHOTS_FOLDER']

function keep(name: string, picture: Buffer): void {
  if (screenshots === undefined) return
  mkdirSync(screenshots, { recursive: true })
  writeFileSync(join(screenshots, name), picture)
}

/** A page without anything on it takes a tenth of that. */
const pictureBytesMin = 50_000

const title =
  missingBrowser === undefined
    ? 'the page in a browser'
    : `LEFT OUT: the page in a browser, because ${missingBrowser}`

describe.skipIf(missingBrowser !== undefined)(title, () => {
  let browser: Browser
  let folder: string
  let pages = 0
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-page-'))
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true })
  })

  interface Opened {
    readonly page: Page
    /** What the page asked for besides itself, and what the browser complained of. */
    readonly requests: readonly string[]
    readonly complaints: readonly string[]
  }

  async function open(
    view: ReportView,
    options: BrowserContextOptions = {},
    hash = '',
  ): Promise<Opened> {
    pages += 1
    const file = join(folder, `${pages}.html`)
    writeFileSync(file, reportPage(view))
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options })
    const requests: string[] = []
    const complaints: string[] = []
    const itself = pathToFileURL(file).href
    page.on('request', (request) => {
      if (request.url() !== `${itself}${hash}` && request.url() !== itself)
        requests.push(request.url())
    })
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('dialog', (dialog) => {
      complaints.push(dialog.message())
      void dialog.dismiss()
    })
    await page.goto(`${itself}${hash}`)
    return { page, requests, complaints }
  }

  const shownFindings = (page: Page) =>
    page.evaluate<number>(`document.querySelectorAll('.finding:not([hidden])').length`)
  const openFindings = (page: Page) =>
    page.evaluate<number>(`document.querySelectorAll('.finding[open]').length`)
  const overflow = (page: Page) =>
    page.evaluate<number>(
      `document.documentElement.scrollWidth - document.documentElement.clientWidth`,
    )

  test.each([
    { name: 'calm', view: calmView },
    { name: 'with findings', view: foundView },
    { name: 'of which nothing is known', view: bareView },
  ])('$name, asks for nothing and complains of nothing', async ({ view }) => {
    const { page, requests, complaints } = await open(view)
    expect(await page.title()).toContain('signatures of the key')
    // Its style and its program are in force: the policy knows their hashes.
    expect(
      await page.evaluate(`getComputedStyle(document.querySelector('.verdict')).display`),
    ).toBe('flex')
    expect({ requests, complaints }).toEqual({ requests: [], complaints: [] })
    await page.close()
  })

  test('lets nothing be loaded, run or sent that is put in later', async () => {
    let asked = 0
    const server = createServer((_, response) => {
      asked += 1
      response.end()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const putIn = `{
      const image = document.createElement('img')
      image.src = 'http://127.0.0.1:${port}/image'
      image.setAttribute('onerror', 'document.title = "run"')
      document.body.append(image)
      const script = document.createElement('script')
      script.textContent = 'document.title = "run"'
      document.body.append(script)
      fetch('http://127.0.0.1:${port}/fetched', { mode: 'no-cors' }).catch(() => undefined)
    }`
    const { page } = await open(calmView)
    await page.evaluate(putIn)
    await page.waitForTimeout(300)
    expect(asked).toBe(0)
    expect(await page.title()).not.toBe('run')
    // A page without a policy does all of it.
    await page.close()
    const careless = await browser.newPage()
    await careless.goto(`http://127.0.0.1:${port}/`)
    asked = 0
    await careless.evaluate(putIn)
    await expect.poll(() => asked).toBeGreaterThan(1)
    expect(await careless.title()).toBe('run')
    await careless.close()
    server.close()
  })

  test('shows hostile text as text', async () => {
    const markup = '</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e"\'>'
    const finding = unexplainedFinding(viewStartMs, {
      kind: markup,
      summary: markup,
      next: markup,
      evidence: [{ of: markup, facts: [[markup, markup]] }],
    })
    const series = { name: markup, counts: Array<number>(72).fill(1) }
    const timeline = calmView.timeline && { ...calmView.timeline, callers: [series] }
    const { page, requests, complaints } = await open({
      ...foundView,
      sentence: markup,
      findings: [finding],
      ...(timeline === undefined ? {} : { timeline }),
    })
    expect(await page.locator('h1').textContent()).toContain(
      '<img src=x onerror=alert(1)>\\u{202e}"\'>',
    )
    expect(await page.evaluate(`document.querySelectorAll('img').length`)).toBe(0)
    expect(await page.evaluate(`document.querySelectorAll('script').length`)).toBe(2)
    expect({ requests, complaints }).toEqual({ requests: [], complaints: [] })
    await page.close()
  })

  test('filters and opens findings by keyboard alone', async () => {
    const { page } = await open(foundView)
    await page.locator('#filter-words').focus()
    await page.keyboard.type('curl')
    await expect.poll(() => shownFindings(page)).toBe(1)
    await expect.poll(() => page.locator('#filter-count').textContent()).toBe('1 of 4 shown')
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.press('Delete')
    await expect.poll(() => shownFindings(page)).toBe(4)

    await page.keyboard.press('Tab')
    await page.keyboard.type('low')
    await expect.poll(() => page.locator('#filter-count').textContent()).toBe('1 of 4 shown')
    // Past the kind and both buttons, to the one finding that is left.
    for (let step = 0; step < 4; step += 1) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await expect.poll(() => openFindings(page)).toBe(1)
    await expect.poll(() => page.locator('.finding[open] .kind').textContent()).toBe('sign.assumed')
    await page.keyboard.press('Enter')
    await expect.poll(() => openFindings(page)).toBe(0)
    await page.close()
  })

  test('says that no finding fits, and opens and closes only what is shown', async () => {
    const { page } = await open(foundView)
    await page.locator('#filter-words').fill('no such words')
    await expect.poll(() => page.locator('#filter-count').textContent()).toBe('0 of 4 shown')
    await page.locator('#filter-words').fill('')
    await page.locator('#filter-kind').selectOption({ label: 'sign.unexplained' })
    await page.locator('#open-all').press('Enter')
    await expect.poll(() => openFindings(page)).toBe(2)
    await page.locator('#close-all').press('Enter')
    await expect.poll(() => openFindings(page)).toBe(0)
    await page.close()
  })

  test('opens the finding that a link leads to, from the picture and from elsewhere', async () => {
    const { page } = await open(foundView)
    await page.locator('#filter-words').fill('no such words')
    await page.locator('.others a').first().press('Enter')
    // The browser tells of a new fragment in a task of its own, after the press is answered.
    await expect
      .poll(() => page.evaluate(`document.activeElement.closest('details[open]')?.id`))
      .toBe('finding-1')
    await page.close()
    const linked = await open(foundView, {}, '#finding-2')
    await expect
      .poll(() => linked.page.evaluate(`document.querySelector('#finding-2').open`))
      .toBe(true)
    await expect.poll(() => openFindings(linked.page)).toBe(1)
    await linked.page.close()
  })

  test('is whole without its program', async () => {
    const { page } = await open(foundView, { javaScriptEnabled: false })
    expect(await page.locator('#finding-filter').isVisible()).toBe(false)
    await page.locator('#finding-1 summary').press('Enter')
    await expect.poll(() => page.locator('#finding-1 .evidence').isVisible()).toBe(true)
    await page.close()
  })

  test('opens all findings for the printer, and closes them again', async () => {
    const { page } = await open(foundView)
    await page.evaluate(`dispatchEvent(new Event('beforeprint'))`)
    await expect.poll(() => openFindings(page)).toBe(4)
    await page.evaluate(`dispatchEvent(new Event('afterprint'))`)
    await expect.poll(() => openFindings(page)).toBe(0)
    await page.emulateMedia({ media: 'print' })
    await expect.poll(() => page.locator('nav').isVisible()).toBe(false)
    await page.close()
  })

  test.each([
    { name: 'a desk', width: 1280, height: 800 },
    { name: 'a phone', width: 390, height: 844 },
  ])('fits $name without scrolling sideways, all of it open', async ({ width, height }) => {
    for (const view of [calmView, foundView, bareView]) {
      const { page } = await open(view, { viewport: { width, height } })
      await page.evaluate(
        `document.querySelectorAll('details').forEach((one) => { one.open = true })`,
      )
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      await page.close()
    }
  })

  test.each([
    { name: 'a desk', width: 1280, height: 800 },
    { name: 'a phone', width: 390, height: 844 },
  ])('answers the five questions within one screen of $name', async ({ width, height }) => {
    for (const view of [calmView, foundView, bareView]) {
      const { page } = await open(view, { viewport: { width, height } })
      const tall = await page.evaluate<number>(
        `document.querySelector('.questions').getBoundingClientRect().height`,
      )
      expect(tall).toBeGreaterThan(100)
      expect(tall).toBeLessThanOrEqual(height)
      await page.close()
    }
  })

  test('is dark for whoever asks for it, and light otherwise', async () => {
    const groundOf = async (colorScheme: 'dark' | 'light') => {
      const { page } = await open(calmView, { colorScheme })
      const ground = await page.evaluate(`getComputedStyle(document.body).backgroundColor`)
      await page.close()
      return ground
    }
    expect(await groundOf('light')).toBe('rgb(250, 249, 246)')
    expect(await groundOf('dark')).toBe('rgb(20, 24, 26)')
  })

  test('scrolls at once for whoever wants less motion', async () => {
    const { page } = await open(calmView, { reducedMotion: 'reduce' })
    expect(await page.evaluate(`getComputedStyle(document.documentElement).scrollBehavior`)).toBe(
      'auto',
    )
    await page.close()
  })

  test('has names and roles for screen readers, on a phone too', async () => {
    const { page } = await open(foundView, { viewport: { width: 390, height: 844 } })
    const count = (role: Parameters<Page['getByRole']>[0], name?: RegExp) =>
      page.getByRole(role, name === undefined ? {} : { name }).count()
    expect(await count('main')).toBe(1)
    expect(await count('navigation', /Sections/)).toBe(1)
    expect(await count('heading', /Not accounted for/)).toBe(1)
    expect(await count('img', /^Not ours$/)).toBe(2)
    expect(await count('table', /a caller and what it asked for/)).toBe(1)
    expect(await count('columnheader', /^Refused$/)).toBe(1)
    expect(await count('rowheader', /billing-export/)).toBeGreaterThan(0)
    expect(await count('search', /Findings/)).toBe(1)
    expect(await count('searchbox', /Words/)).toBe(1)
    await page.close()
  })

  // Browsers differ in their pixels, so that only sizes are held to docs/.
  test.each(shownLooks)('looks on a screen as docs/$name shows it', async (look) => {
    const picture = await pictureOf(look, 'screen', { browser, folder })
    keep(look.name, picture)
    const shown = readFileSync(join('docs', look.name))
    expect([sizeOf(picture), sizeOf(shown)]).toEqual([screenSizeOf(look), screenSizeOf(look)])
    for (const { length } of [picture, shown]) expect(length).toBeGreaterThan(pictureBytesMin)
  })

  test.each(allLooks)('looks as a whole as wide as its screen: $name', async (look) => {
    const picture = await pictureOf(look, 'whole', { browser, folder })
    keep(look.name, picture)
    const { width, height } = screenSizeOf(look)
    expect(sizeOf(picture).width).toBe(width)
    expect(sizeOf(picture).height).toBeGreaterThanOrEqual(height)
  })
})

test('docs/audit.md shows each picture that there is', () => {
  const names = shownLooks.map(({ name }) => name).toSorted()
  const shown = readFileSync('docs/audit.md', 'utf8').matchAll(/\]\((audit-page[\w-]*\.png)\)/g)
  expect(globSync('*.png', { cwd: 'docs' }).toSorted()).toEqual(names)
  expect([...shown].map(([, name]) => name).toSorted()).toEqual(names)
})
