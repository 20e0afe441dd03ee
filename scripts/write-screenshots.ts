// Writes the pictures of the auditor's page that docs/audit.md shows, with Debian's Chromium. With a folder as its argument
// it writes there the whole page in every look instead, for whoever changes it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { reportPage } from '../src/reconcile/report-page.ts'
import type { ReportView } from '../src/reconcile/report-view.ts'
import { bareView, calmView, foundView } from '../test/support/audit/report-views.ts'
import { missingBrowser, openBrowser } from '../test/support/browser.ts'

interface Look {
  readonly name: string
  readonly view: ReportView
  readonly options?: BrowserContextOptions
  readonly media?: 'print'
  readonly whole?: true
}

const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }
const desk = { viewport: { width: 1280, height: 1330 } }

const pictures: readonly Look[] = [
  { name: 'audit-page.png', view: foundView, options: desk },
  { name: 'audit-page-dark.png', view: foundView, options: { ...desk, colorScheme: 'dark' } },
  { name: 'audit-page-phone.png', view: foundView, options: phone },
  { name: 'audit-page-print.png', view: foundView, options: desk, media: 'print' },
]

const looks: readonly Look[] = [
  ...pictures.map((picture): Look => ({ ...picture, whole: true })),
  { name: 'calm.png', view: calmView, options: desk, whole: true },
  {
    name: 'calm-phone-dark.png',
    view: calmView,
    options: { ...phone, colorScheme: 'dark' },
    whole: true,
  },
  { name: 'bare.png', view: bareView, options: desk, whole: true },
]

if (missingBrowser !== undefined) throw new Error(missingBrowser)
const [, , folder] = process.argv
const browser = await openBrowser()
const pages = await mkdtemp(join(tmpdir(), 'countersign-pages-'))
try {
  for (const look of folder === undefined ? pictures : looks) {
    const file = join(pages, 'page.html')
    await writeFile(file, reportPage(look.view))
    const page: Page = await browser.newPage({ colorScheme: 'light', ...look.options })
    await page.goto(pathToFileURL(file).href)
    if (look.media !== undefined) await page.emulateMedia({ media: look.media })
    const path = join(folder ?? 'docs', look.name)
    await page.screenshot({ path, fullPage: look.whole === true })
    await page.close()
    console.log(path)
  }
} finally {
  await browser.close()
  await rm(pages, { recursive: true })
}
