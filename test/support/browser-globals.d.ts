/**
 * Names of a browser's types that the types of playwright-core mention. The product runs in no browser, so
 * its compiler knows none of them; what a test asks of a page is a text that the page evaluates.
 */
interface Node {
  readonly nodeType: number
}
interface HTMLElement extends Node {
  readonly tagName: string
}
interface SVGElement extends Node {
  readonly tagName: string
}
type HTMLElementTagNameMap = Readonly<Record<string, HTMLElement>>
