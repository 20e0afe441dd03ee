import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { isLike, parseClaimPattern } from '../../../src/base/claim-pattern.ts'
import { required } from '../../support/required.ts'

const like = (pattern: string, text: string) => isLike(text, required(parseClaimPattern(pattern)))

describe('a pattern', () => {
  test.for<[string, string]>([
    ['refs/heads/release/*', 'refs/heads/release/2'],
    ['refs/heads/release/*', 'refs/heads/release/2026.11-hotfix_3'],
    ['refs/heads/*/stable', 'refs/heads/a/stable'],
    ['repo:contoso/*:ref:refs/heads/main', 'repo:contoso/orders:ref:refs/heads/main'],
    ['v*.*.*', 'v1.2.3'],
    ['*-prod', 'orders-prod'],
    ['*-prod', '-prod-prod'],
    ['a*a', 'aba'],
    ['a*b*c', 'aXbbYc'],
    ['*', 'anything at all'],
    ['*', '\n'],
    ['*@contoso.example', 'ann@contoso.example'],
  ])('%s is like %s', ([pattern, text]) => {
    expect(like(pattern, text)).toBe(true)
  })

  test.for<[string, string]>([
    ['refs/heads/release/*', 'refs/heads/release/'],
    ['refs/heads/release/*', 'refs/heads/release'],
    ['refs/heads/release/*', 'refs/heads/release/2/x'],
    ['refs/heads/release/*', 'refs/heads/Release/2'],
    ['refs/heads/release/*', 'refs/tags/refs/heads/release/2'],
    ['refs/heads/release/*', 'refs/heads/release/2\n/x'],
    ['repo:contoso/*', 'repo:contoso/orders:ref:refs/heads/main'],
    ['repo:contoso/*', 'repo:contoso/a%3Ab'],
    ['repo:contoso/*', 'repo:contoso/a@1'],
    ['team-*', 'team-a|admin'],
    ['*-prod', 'orders-prod '],
    ['*-prod', '-prod'],
    ['a*a', 'aa'],
    ['a*b*c', 'abc'],
    ['a*b*c', 'aXbc'],
    ['*', ''],
    ['*@contoso.example', 'ann@evil@contoso.example'],
    ['*@contoso.example', 'ann@contoso.example.evil'],
    // Looks the same, and is another letter: Cyrillic, and e with its accent apart.
    ['*-prod', 'orders-рrod'],
    ['caf\u00e9-*', 'cafe\u0301-1'],
  ])('%s is not like %s', ([pattern, text]) => {
    expect(like(pattern, text)).toBe(false)
  })

  test.for(['', 'main', 'v**', '**', '*a*b*c*d*e*f*g*h*'])('%j is none', (text) => {
    expect(parseClaimPattern(text)).toBeUndefined()
  })

  const character = fc.constantFrom(...Array.from('ab/:@|%*.-'))
  const anyText = fc.string({ unit: character, maxLength: 12 })

  /** A text that a pattern was made for, as often as one that it was not: by chance hardly any would fit. */
  const meetings = fc.oneof(
    fc.tuple(anyText, anyText),
    anyText.chain((written) =>
      fc
        .array(fc.string({ unit: character, maxLength: 2 }), { minLength: 8, maxLength: 8 })
        .map((stars): [string, string] => [
          written,
          written
            .split('*')
            .reduce((text, piece, index) => `${text}${stars[index - 1] ?? ''}${piece}`),
        ]),
    ),
  )

  test('means what a regular expression would, of all texts that it could be confused by', () => {
    const met = { like: 0, unlike: 0 }
    fc.assert(
      fc.property(meetings, ([written, text]) => {
        const pattern = parseClaimPattern(written)
        fc.pre(pattern !== undefined)
        const pieces = written.split('*').map((piece) => piece.replace(/[.|]/g, '\\$&'))
        const expected = new RegExp(`^(?:${pieces.join('[^/:@|%]+')})$`, 'u').test(text)
        met[expected ? 'like' : 'unlike'] += 1
        expect(isLike(text, pattern)).toBe(expected)
      }),
      { numRuns: 5000 },
    )
    expect(Math.min(met.like, met.unlike)).toBeGreaterThan(500)
  })

  test('never lets a star stand for what keeps parts apart', () => {
    const plain = fc.string({
      unit: fc.constantFrom(...Array.from('ab.')),
      minLength: 1,
      maxLength: 4,
    })
    const part = fc.tuple(plain, plain).map(([a, b]) => `${a}*${b}`)
    fc.assert(
      fc.property(
        part,
        anyText,
        fc.constantFrom(...Array.from('/:@|%')),
        (pattern, text, separator) => {
          expect(like(pattern, text + separator)).toBe(false)
          expect(like(pattern, separator + text)).toBe(false)
          expect(
            like(pattern, `${pattern.split('*')[0]}x${separator}x${pattern.split('*')[1]}`),
          ).toBe(false)
        },
      ),
    )
  })

  test('takes a long text without taking long', () => {
    expect(like('*a*a*a*a*a*a*a*b', 'a'.repeat(1_000_000))).toBe(false)
  })
})
