import { missingBrowser } from './browser.ts'

/** Once for each run, because a reporter that is brief does not name what was skipped. */
export function setup(): void {
  if (missingBrowser === undefined) return
  // eslint-disable-next-line no-console -- the runner has nothing else to say it with
  console.log(`LEFT OUT: the auditor's page in a real browser, because ${missingBrowser}`)
}
