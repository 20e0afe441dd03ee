import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { reportPage } from '../../../src/reconcile/report-page.ts'
import type { ReportView } from '../../../src/reconcile/report-view.ts'
import { bareView, calmView, foundView } from './report-views.ts'

/** How the auditor's page looks to somebody: what it says, on which screen, and in which colours. */
export interface Look {
  /** Of the picture. */
  readonly name: string
  readonly view: ReportView
  readonly screen: Screen
  readonly colorScheme: 'light' | 'dark'
  readonly media?: 'print'
}

interface Screen {
  readonly viewport: { readonly width: number; readonly height: number }
  readonly deviceScaleFactor: number
}

const desk: Screen = { viewport: { width: 1280, height: 1330 }, deviceScaleFactor: 1 }
const phone: Screen = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }
const found = { view: foundView, colorScheme: 'light' } as const

/** What docs/audit.md shows: the first screen of each. */
export const shownLooks: readonly Look[] = [
  { ...found, name: 'audit-page.png', screen: desk },
  { ...found, name: 'audit-page-dark.png', screen: desk, colorScheme: 'dark' },
  { ...found, name: 'audit-page-phone.png', screen: phone },
  { ...found, name: 'audit-page-print.png', screen: desk, media: 'print' },
]

/** For whoever changes the page. */
export const allLooks: readonly Look[] = [
  ...shownLooks,
  { name: 'calm.png', view: calmView, screen: desk, colorScheme: 'light' },
  { name: 'calm-phone-dark.png', view: calmView, screen: phone, colorScheme: 'dark' },
  { name: 'bare.png', view: bareView, screen: desk, colorScheme: 'light' },
]

/**
 * Opens the page from a file and takes its picture.
 *
 * @param folder Where the file of the page is written.
 * @param extent The whole page, or what the screen shows of it at once.
 * @returns PNG.
 */
export async function pictureOf(
  look: Look,
  extent: 'whole' | 'screen',
  { browser, folder }: { readonly browser: Browser; readonly folder: string },
): Promise<Buffer> {
  const file = join(folder, `${look.name}.html`)
  writeFileSync(file, reportPage(look.view))
  const page = await browser.newPage({ colorScheme: look.colorScheme, ...look.screen })
  await page.goto(pathToFileURL(file).href)
  if (look.media !== undefined) await page.emulateMedia({ media: look.media })
  const picture = await page.screenshot({ fullPage: extent === 'whole' })
  await page.close()
  return picture
}

/** Of a PNG, in pixels: the first chunk begins with them. */
export const sizeOf = (picture: Buffer) => ({
  width: picture.readUInt32BE(16),
  height: picture.readUInt32BE(20),
})

/** Of the first screen of a look, in pixels. */
export const screenSizeOf = ({ screen: { viewport, deviceScaleFactor } }: Look) => ({
  width: viewport.width * deviceScaleFactor,
  height: viewport.height * deviceScaleFactor,
})
