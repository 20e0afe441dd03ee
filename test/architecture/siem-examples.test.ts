import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { entryMembers } from '../support/entry-members.ts'

/** Neither Logstash nor Fluentd is at hand here: what can be told of their pipelines without them. */

const read = (name: string) =>
  readFileSync(`examples/siem/${name}`, 'utf8')
    .split('\n')
    .filter((line) => !/^\s*#(?!\{)/.test(line))
    .join('\n')

const logstash = read('logstash.conf')
const fluentd = read('fluentd.conf')

describe('the pipeline of Logstash', () => {
  test('closes what it opens, and has the three parts', () => {
    const outsideTexts = logstash.replaceAll(/"[^"]*"/g, '')
    const brackets = [...outsideTexts.matchAll(/[{}[\]]/g)].map(([bracket]) => bracket)
    const depths = brackets.reduce<number[]>(
      (all, bracket) => [...all, (all.at(-1) ?? 0) + ('{['.includes(bracket) ? 1 : -1)],
      [],
    )
    expect(depths.at(-1)).toBe(0)
    expect(Math.min(...depths)).toBe(0)
    expect([...logstash.matchAll(/^(\w+) \{$/gm)].map(([, part]) => part)).toEqual([
      'input',
      'filter',
      'output',
    ])
  })

  test('names members that entries have', () => {
    const named = [...logstash.matchAll(/\[entry\]((?:\[\w+\])+)/g)].map(([, path = '']) =>
      [...path.matchAll(/\[(\w+)\]/g)].map(([, member]) => member).join('.'),
    )
    expect(named.filter((path) => !entryMembers().includes(path))).toEqual([])
    expect(new Set(named).size).toBeGreaterThan(3)
  })
})

describe('the pipeline of Fluentd', () => {
  test('closes what it opens', () => {
    const open: string[] = []
    for (const [, slash, name = ''] of fluentd.matchAll(/^\s*<(\/?)(\w+)[^>]*>$/gm)) {
      if (slash === '') open.push(name)
      else expect(open.pop()).toBe(name)
    }
    expect(open).toEqual([])
  })

  test('names members that entries have', () => {
    const named = [...fluentd.matchAll(/dig\("entry", ([^)]+)\)/g)].map(([, path = '']) =>
      [...path.matchAll(/"(\w+)"/g)].map(([, member]) => member).join('.'),
    )
    expect(named.filter((path) => !entryMembers().includes(path))).toEqual([])
    expect(new Set(named).size).toBeGreaterThan(3)
  })
})

test('both take the hash of an entry for its id, so that a line which is read twice is there once', () => {
  expect(logstash).toContain('document_id => "%{hash}"')
  expect(fluentd).toContain('id_key hash')
})
