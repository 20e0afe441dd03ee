import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

/** Where Debian's package puts it. */
const chromiumPath = '/usr/bin/chromium'

/** Undefined where there is one; otherwise what to install. */
export const missingBrowser: string | undefined = existsSync(chromiumPath)
  ? undefined
  : `there is no ${chromiumPath}: apt-get install chromium`

/** A real browser that does nothing by itself: what leaves it, a page has sent. */
export async function openBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
