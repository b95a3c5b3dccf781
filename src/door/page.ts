import { type Html, html, trusted } from './html.ts'

/** A door, inside the page: browsers would otherwise ask for /favicon.ico. */
export const favicon = {
  source: 'data:',
  href: `data:image/svg+xml,${encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0f766e"/>' +
      '<path d="M9 26V14a7 7 0 0 1 14 0v12z" fill="#fff"/><circle cx="19.5" cy="19" r="1.6" fill="#0f766e"/></svg>',
  )}`,
} as const

/**
 * The head of every page of the gateway's own.
 * @param nonce of its style, where that is not let in by its hash
 */
export function pageHead(title: string, style: string, nonce?: string): Html {
  return html`<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title}</title>
  <link rel="icon" href="${favicon.href}">
  <style${nonce === undefined ? '' : html` nonce="${nonce}"`}>${trusted(style)}</style>
</head>`
}
