import { expect, test } from 'vitest'
import { faultFrom } from '../../../src/base/text-file.ts'

const failed = (code: string) => Object.assign(new Error(`${code}: /etc/secret`), { code })

test.for([
  ['ENOENT', 'It is not there'],
  ['ENOTDIR', 'It is not there'],
  ['EACCES', 'It may not be read'],
  ['EPERM', 'It may not be read'],
  ['EIO', 'It cannot be read (EIO)'],
] as const)('%s says what to do', ([code, start]) => {
  expect(faultFrom(failed(code)).startsWith(start)).toBe(true)
  expect(faultFrom(failed(code))).toContain(': ')
})

test('an error of no known kind is a fault all the same, without its text', () => {
  expect(faultFrom(new Error('/etc/secret'))).not.toContain('secret')
  expect(faultFrom('/etc/secret')).not.toContain('secret')
})
