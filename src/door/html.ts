/** Markup that may stand in a page as it is. */
export interface Html {
  readonly markup: string
}

type Value = string | number | Html | readonly Html[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Template tag: what is interpolated is text and is escaped, unless it came out of this tag itself. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { markup: String.raw({ raw: strings }, ...values.map(toMarkup)) }
}

/** Trusted text of the program's own, such as a style sheet, as it is. */
export const trusted = (markup: string): Html => ({ markup })

function toMarkup(value: Value): string {
  if (typeof value === 'string') return value.replace(/[&<>"']/g, (character) => entities[character]!)
  if (typeof value === 'number') return String(value)
  return Array.isArray(value) ? value.map(toMarkup).join('') : (value as Html).markup
}
