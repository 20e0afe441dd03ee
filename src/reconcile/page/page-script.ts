/**
 * The program of the page, for a browser: filters and opens findings, and opens what a link leads to. The
 * page is whole without it. It reads names and numbers of ours from the data; the words that it searches are
 * those that stand in the page as text, and it writes none of them.
 */
export const pageScript = `'use strict'
{
  const byId = (id) => document.getElementById(id)
  const data = JSON.parse(byId('report-data').textContent)
  const items = data.findings.map((facts, index) => ({
    ...facts,
    element: byId('finding-' + (index + 1)),
  }))
  const filter = byId('finding-filter')
  const show = (item, isShown) => {
    item.element.hidden = !isShown
  }
  const wordsOf = (item) => (item.words ??= item.element.textContent.toLowerCase())

  const apply = () => {
    const words = byId('filter-words').value.toLowerCase().split(/\\s+/).filter(Boolean)
    const severity = byId('filter-severity').value
    const kind = byId('filter-kind').value
    let count = 0
    for (const item of items) {
      const isShown =
        (severity === '' || item.severity === severity) &&
        (kind === '' || item.kind === Number(kind)) &&
        words.every((word) => wordsOf(item).includes(word))
      show(item, isShown)
      if (isShown) count += 1
    }
    byId('filter-count').textContent = count + ' of ' + items.length + ' shown'
  }
  const openShown = (isOpen) => {
    for (const { element } of items) if (!element.hidden) element.open = isOpen
  }
  const follow = () => {
    const item = items.find(({ element }) => '#' + element.id === location.hash)
    if (item === undefined) return
    show(item, true)
    item.element.open = true
    item.element.querySelector('summary').focus()
    item.element.scrollIntoView()
  }

  if (filter !== null) {
    filter.hidden = false
    for (const id of ['filter-words', 'filter-severity', 'filter-kind']) {
      byId(id).addEventListener('input', apply)
    }
    byId('open-all').addEventListener('click', () => openShown(true))
    byId('close-all').addEventListener('click', () => openShown(false))
  }
  addEventListener('hashchange', follow)
  follow()

  let closed = []
  addEventListener('beforeprint', () => {
    closed = items.filter(({ element }) => !element.open)
    for (const { element } of closed) element.open = true
  })
  addEventListener('afterprint', () => {
    for (const { element } of closed) element.open = false
  })
}
`
