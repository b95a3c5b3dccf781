/**
 * Makes an element. Text is always text: nothing on this page is ever parsed as markup.
 *
 * @param {string} tag
 * @param {Record<string, string> | null} [attributes]
 * @param {...(Node | string)} children
 */
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value)
  node.append(...children)
  return node
}

/** The same of SVG. */
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value)
  node.append(...children)
  return node
}

/** Touches the page only where it would say something else: a selection survives, and nothing is laid out anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

export function setAttribute(node, name, value) {
  if (value === undefined) node.removeAttribute(name)
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}

/** Makes `parent` have these children, in this order, moving no more than it must. */
export function setChildren(parent, children) {
  let at = parent.firstChild
  for (const child of children) {
    if (child === at) at = at.nextSibling
    else parent.insertBefore(child, at)
  }
  while (at !== null) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

/** `1 instance`, `2 instances` */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** `0`, `0.4`, `12.3`, `1234` */
export function perSecond(value) {
  if (value === 0) return '0'
  return value < 100 ? value.toFixed(1) : String(Math.round(value))
}

/** `0.4 ms`, `12 ms`, `1.4 s` */
export function milliseconds(ms) {
  if (ms === undefined || ms === null) return '–'
  if (ms < 10) return `${ms.toFixed(1)}\u00a0ms`
  return ms < 1000 ? `${Math.round(ms)}\u00a0ms` : `${(ms / 1000).toFixed(1)}\u00a0s`
}

/** Shorter times than that are not told apart by what the gateway counts of a percentile. */
const shortestPercentile = 5

/** As `milliseconds`, of a percentile. */
export const percentile = (ms) =>
  ms <= shortestPercentile ? `<\u00a0${shortestPercentile}\u00a0ms` : milliseconds(ms)

/** `0 %`, `0.2 %`, `12 %` */
export function percent(share) {
  if (share === 0) return '0\u00a0%'
  return share < 0.1 ? `${Math.max(0.1, share * 100).toFixed(1)}\u00a0%` : `${Math.round(share * 100)}\u00a0%`
}

/** `8 s`, `3 min`, `5 h`, `12 d` */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** Of the reader's own clock and place. */
export const timeOfDay = (at) => new Date(at).toLocaleTimeString([], { hour12: false })

export const dateAndTime = (at) =>
  new Date(at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short', hour12: false })
