import { z } from 'zod'
import { duration } from '../discovery/description.ts'
import type { Setting } from './settings.ts'

const originsMessage =
  'expected exact origins such as https://www.jinmini.com, separated by commas, without a path or *'
const origins = z
  .string()
  .transform((text) => text.split(',').map((item) => toOrigin(item.trim())))
  .pipe(z.array(z.string(originsMessage)))

const unitBytes = { '': 1, b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }
const sizeMessage = 'expected a size such as 500kb, 10mb or 1gb'
/** A number of bytes. */
export const size = z
  .string()
  .toLowerCase()
  .regex(/^\d{1,9}(?:b|kb|mb|gb)?$/, sizeMessage)
  .transform((text) => {
    const [, amount = '', unit = ''] = /^(\d+)([a-z]*)$/.exec(text)!
    return Number(amount) * unitBytes[unit as keyof typeof unitBytes]
  })
  .refine((bytes) => bytes > 0, sizeMessage)

const rateMessage = 'expected a rate such as 20/1m: how many in how long (s, m or h), at most 24h'
const unitSeconds = { s: 1, m: 60, h: 3600 }

/** `20/1m` → 20 in 60 seconds. */
const rate = z
  .string()
  .regex(/^[1-9]\d{0,6}\/[1-9]\d{0,4}[smh]$/, rateMessage)
  .transform((text) => {
    const [, points, amount, unit] = /^(\d+)\/(\d+)([smh])$/.exec(text)!
    return {
      points: Number(points),
      seconds: Number(amount) * unitSeconds[unit as keyof typeof unitSeconds],
    }
  })
  .refine(({ seconds }) => seconds <= 86_400, rateMessage)

/** What the door holds off before anybody behind it is troubled. */
export const protectionSettings = {
  CORS_ORIGINS: {
    group: 'Protection',
    meaning: 'exact origins of front ends on other hosts, separated by commas; they may send credentials',
    schema: origins,
    unset: 'none',
  },
  BODY_LIMIT: {
    group: 'Protection',
    meaning: 'the largest request body that is forwarded, such as 10mb',
    schema: size,
    unset: 'no limit',
  },
  OVERLOAD_DELAY: {
    group: 'Protection',
    meaning: 'delay of the event loop above which new requests are answered 503, 0s for never',
    schema: duration,
    default: '200ms',
  },
  TOKEN_RATE_LIMIT: {
    group: 'Protection',
    meaning: 'requests to /tokens/* and /oauth/* that one address may make, as how many in how long',
    schema: rate,
    default: '600/1m',
  },
  TOKEN_FAILURE_LIMIT: {
    group: 'Protection',
    meaning:
      'failed authentications at /tokens/* and /oauth/*, of one address, and of one address for one client; and wrong tokens at the admin endpoints',
    schema: rate,
    default: '20/1m',
  },
} as const satisfies Record<string, Setting>

function toOrigin(text: string): string | undefined {
  if (!/^https?:\/\/[^/?#@\s*]+$/i.test(text) || !URL.canParse(text)) return undefined
  return new URL(text).origin
}
