/** RFC 9110 §5.6.7: the form that is written today, that of RFC 850, and that of C's asctime, which is in GMT as well. */
const forms =
  /^(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d [\d:]{8} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} (\d{4}))$/

/**
 * Milliseconds since the epoch; NaN for what is no date: nothing is greater or less than that. `Date.parse` takes nearly
 * anything for one: `Expires: 3600` for the year 3600.
 */
export function httpDate(text: string | undefined): number {
  const found = forms.exec(text?.trim() ?? '')
  if (found === null) return Number.NaN
  return Date.parse(found[1] === undefined ? found[0] : `${found[0]} GMT`)
}
