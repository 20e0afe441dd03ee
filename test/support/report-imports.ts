// Preloaded into a program (`--import`): writes the URL of every module that it has loaded, one a line,
// into the file that MODULES_FILE names, when it ends.
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const file = process.env['MODULES_FILE']
if (file === undefined) throw new Error('MODULES_FILE must name a file')
const urls: string[] = []

registerHooks({
  load: (url, context, nextLoad) => {
    urls.push(url)
    return nextLoad(url, context)
  },
})
process.on('exit', () => {
  writeFileSync(file, urls.join('\n'))
})
