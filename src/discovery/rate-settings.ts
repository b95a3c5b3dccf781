import { z } from 'zod'

/** So many requests in so many seconds, for each user or each address: see rate/rate-limits.ts. */
export interface RateLimit {
  readonly requests: number
  readonly seconds: number
  readonly per: 'user' | 'address'
}

const message =
  'expected a rate such as 100/min per user, 10/s per address or 1000/6h: how many in how long (1s to 24h, in whole seconds)'

const rateText =
  /^([1-9]\d{0,6})\s*\/\s*([1-9]\d{0,4})?\s*(s|sec|second|m|min|minute|h|hour|d|day)(?:\s+per\s+(user|address))?$/

const secondsOf = { s: 1, m: 60, h: 3600, d: 86_400 }

/** For editors. */
const onePattern =
  '\\s*[1-9]\\d{0,6}\\s*/\\s*(?:[1-9]\\d{0,4})?\\s*(?:s|sec|second|m|min|minute|h|hour|d|day)(?:\\s+per\\s+(?:user|address))?\\s*'

const rateWords = z.string(message).meta({ pattern: `^${onePattern}$` })
const rate = rateWords.transform((text, context): RateLimit => {
  const [, requests, amount = '1', unit = '', per = 'user'] = rateText.exec(text.trim()) ?? []
  const seconds = Number(amount) * secondsOf[unit[0] as keyof typeof secondsOf]
  if (requests === undefined || seconds > 86_400) {
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
  return { requests: Number(requests), seconds, per: per as RateLimit['per'] }
})

/** Each costs every request of the route a look-up and a part of two fields, and holds counts of its own. */
const mostRates = 8

/** `100/min per user`; several as a list or separated by commas. Without `per` it is for each user. */
export const rateLimits = z
  .union(
    [
      z
        .string()
        .meta({ pattern: `^${onePattern}(?:,${onePattern})*$` })
        .transform((text) => text.split(','))
        .pipe(z.array(rate)),
      z.array(rate).min(1, message).max(mostRates, message),
    ],
    message,
  )
  .refine((rates) => rates.length <= mostRates, `expected at most ${mostRates} rates`)
  .refine(
    (rates) => new Set(rates.map(({ per, seconds }) => `${per} ${seconds}`)).size === rates.length,
    'expected rates that differ in how long, or in for whom',
  )
