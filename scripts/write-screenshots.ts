// Writes the pictures of the auditor's page that docs/audit.md shows, with Debian's Chromium: the test that holds them to
// docs/ takes them. With a folder as its argument the whole page in every look is written there instead, for whoever changes it.
import { spawnSync } from 'node:child_process'
import { missingBrowser } from '../test/support/browser.ts'

// Without a browser the tests are left out, and nothing would be written.
if (missingBrowser !== undefined) throw new Error(missingBrowser)
const [, , folder] = process.argv
const named = folder === undefined ? 'looks on a screen' : 'looks as a whole'
const { status } = spawnSync(
  'node_modules/.bin/vitest',
  ['run', 'test/e2e/report-page.test.ts', '--testNamePattern', named],
  { stdio: 'inherit', env: { ...process.env, SCREENSHOTS_FOLDER: folder ?? 'docs' } },
)
process.exit(status ?? 1)
