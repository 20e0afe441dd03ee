import { html } from './html.ts'
import type { Html, HtmlValue } from './html.ts'

export interface TableContent {
  readonly caption: string
  readonly columns: readonly string[]
  /** One value for each column; the first names the row. */
  readonly rows: readonly (readonly HtmlValue[])[]
  /** Of the columns that hold numbers, from 0. */
  readonly numbers?: readonly number[]
}

/**
 * A table with a caption and scopes. On a narrow screen its rows stand one below the other and each cell
 * says its column, which takes the meaning of table elements away: the roles give it back.
 */
export function table({ caption, columns, rows, numbers = [] }: TableContent): Html {
  const kind = (index: number) => (numbers.includes(index) ? 'number' : 'text')
  const cell = (value: HtmlValue, index: number) =>
    index === 0
      ? html`<th role="rowheader" scope="row">${value}</th>`
      : html`<td role="cell" class="${kind(index)}" data-column="${columns[index]}">${value}</td>`
  return html`<div class="table-frame">
    <table role="table">
      <caption>
        ${caption}
      </caption>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map(
            (name, index) =>
              html`<th role="columnheader" scope="col" class="${kind(index)}">${name}</th>`,
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map(
          (row) =>
            html`<tr role="row">
              ${row.map(cell)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}
