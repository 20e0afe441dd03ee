import { describe, expect, test } from 'vitest'
import type { GrantFile } from '../../../src/policy/grant-folder.ts'
import { grantsText, parseGrantsText } from '../../../src/policy/grants-text.ts'

const file = (name: string, text: string): GrantFile => ({ file: name, ok: true, text })

describe('the files of a folder as one text', () => {
  test('are the same files again, in another folder', () => {
    const text = grantsText([file('/here/b.yaml', 'grant: b\n'), file('/here/a.yml', '\u0000"\\')])
    expect(parseGrantsText(text, 'there')).toEqual([
      file('there/a.yml', '\u0000"\\'),
      file('there/b.yaml', 'grant: b\n'),
    ])
  })

  test('say which could not be read, and not why', () => {
    const text = grantsText([{ file: '/here/a.yaml', ok: false, fault: 'It may not be read.' }])
    expect(text).toBe('[["a.yaml",null]]')
    expect(parseGrantsText(text, 'there')).toMatchObject([{ file: 'there/a.yaml', ok: false }])
    expect(grantsText(parseGrantsText(text, 'there') ?? [])).toBe(text)
  })

  test('depend on neither the order nor the folder, and on every name and text', () => {
    const [a, b] = [file('/one/a.yaml', 'a'), file('/one/b.yaml', 'b')]
    const text = grantsText([a, b])
    expect(grantsText([b, a])).toBe(text)
    expect(grantsText([file('/two/a.yaml', 'a'), b])).toBe(text)
    expect(grantsText([file('/one/c.yaml', 'a'), b])).not.toBe(text)
    expect(grantsText([file('/one/a.yaml', 'b'), b])).not.toBe(text)
    expect(grantsText([a])).not.toBe(text)
  })

  test.each(['', '{', 'null', '{}', '[["a.yaml"]]', '[["a.yaml",1]]', '[["",""]]', '[[1,"a"]]'])(
    'are not read from %j',
    (text) => {
      expect(parseGrantsText(text, 'there')).toBeUndefined()
    },
  )

  test('stay within the folder, whatever they are called', () => {
    expect(parseGrantsText('[["../../etc/a.yaml","a"]]', 'there')).toEqual([
      file('there/a.yaml', 'a'),
    ])
  })
})
