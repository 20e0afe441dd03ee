import { describe, expect, it } from 'vitest'
import { html, scriptJson, shownText } from '../../../../src/reconcile/page/html.ts'

describe('html', () => {
  it('shows what stands in its holes as text, in elements and in attributes', () => {
    const value = `<b title='x'>"&amp;</b>`
    expect(html`<p class="${value}">${value}</p>`.text).toBe(
      '<p class="&lt;b title=&#39;x&#39;&gt;&quot;&amp;amp;&lt;/b&gt;">&lt;b title=&#39;x&#39;&gt;&quot;&amp;amp;&lt;/b&gt;</p>',
    )
  })

  it('takes HTML of its own making as it is, and lists one after the other', () => {
    const items = [1, 2].map((one) => html`<li>${one}</li>`)
    const { text } = html`<ul>
      ${items}
    </ul>`
    expect(text.replaceAll(/\s/g, '')).toBe('<ul><li>1</li><li>2</li></ul>')
  })

  it('leaves out what is absent', () => {
    expect(html`<p>${undefined}${[]}</p>`.text).toBe('<p></p>')
  })
})

describe('text that is shown', () => {
  it('is left alone when it prints, in any script', () => {
    const plain = 'Zürich, שלום, 東京, =SUM(A1)'
    expect(shownText(plain)).toBe(plain)
  })

  it('writes out what does not print or turns the direction of writing', () => {
    expect(shownText('a\u202eb\u0000c\u2028d\ud83de')).toBe(
      'a\\u{202e}b\\u{0}c\\u{2028}d\\u{d83d}e',
    )
  })

  it('is cut, and says how long it was', () => {
    expect(shownText('x'.repeat(600))).toBe('x'.repeat(600))
    expect(shownText('x'.repeat(10_000))).toBe(`${'x'.repeat(600)}… (10000 characters)`)
  })
})

describe('JSON for a script element', () => {
  it('is the same value, without a character that could end the element', () => {
    const value = { text: '</script><!-- & \u2028' }
    const { text } = scriptJson(value)
    expect(text).not.toMatch(/[<>&\u2028]/)
    expect(JSON.parse(text)).toEqual(value)
  })
})
