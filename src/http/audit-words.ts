import { hash } from 'node:crypto'
import type { Answer } from './answer.ts'

/** What a person is told in place of the page for auditors: a few words of ours, and nothing of what was sent. */
export interface AuditWords {
  readonly status: number
  readonly title: string
  readonly detail: string
  /** Where to go on; absent: nowhere. */
  readonly link?: { readonly path: string; readonly text: string }
  /** What is posted by a button, and where. */
  readonly button?: { readonly path: string; readonly text: string }
}

/** Of every answer that a browser shows: no other page may hold it in a frame, keep it, or learn its address. */
export const pageHeaders = (policy: string): Readonly<Record<string, string>> => ({
  'content-security-policy': `${policy}; frame-ancestors 'none'`,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
})

export const htmlType = 'text/html; charset=utf-8'

const style =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.25rem;color-scheme:light dark}h1{font-size:1.4rem}button{font:inherit;padding:.4rem 1rem}'

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'self'",
].join('; ')

/** Every word in it is ours, so that nothing needs escaping. */
export function wordsAnswer({ status, title, detail, link, button }: AuditWords): Answer {
  const further = [
    ...(button === undefined
      ? []
      : [`<form method="post" action="${button.path}"><button>${button.text}</button></form>`]),
    ...(link === undefined ? [] : [`<p><a href="${link.path}">${link.text}</a></p>`]),
  ]
  return {
    status,
    contentType: htmlType,
    body: `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title} – Countersign</title><style>${style}</style></head><body><main><h1>${title}</h1><p>${detail}</p>${further.join('')}</main></body></html>`,
    headers: pageHeaders(policy),
  }
}
