import { z } from 'zod'
import { type BalancingPolicyName, balancingPolicies } from '../proxy/balance/index.ts'

/** A duration as people write it (`15s`, `500ms`, `2m`), as milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'expected a duration such as 500ms, 15s or 2m')
  .transform((text) => {
    const [, amount, unit] = /^([\d.]+)(ms|s|m|h)$/.exec(text) ?? []
    return Number(amount) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h']
  })

/** A path prefix: absolute, whole segments, nothing that a house could read differently. */
const prefix = z
  .string()
  .regex(/^\/(?:[A-Za-z0-9._~!$&'()*+,=:@-]+(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)*)?$/, {
    message: 'expected a path such as /api/users, without a trailing slash, escapes or query',
  })
  .refine((path) => !path.split('/').some((segment) => segment === '.' || segment === '..'), {
    message: 'expected a path without . or .. segments',
  })

/** Tags and annotations are strings, gateway.yaml has types: both spell the same value. */
const flag = z.union([z.boolean(), z.stringbool()])
const count = z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]).pipe(z.int().min(0).max(10))
const oneOrMore = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((value) => [value]), z.array(item).min(1)])
const words = z.string().transform((text) => text.split(/[\s,]+/).filter(Boolean))

/**
 * How a service describes its routes: the same words in Consul tags, Kubernetes annotations and gateway.yaml
 * (shared/design: "How a service describes its routes"). Absent keys take the defaults of table.ts.
 */
export const descriptionSchema = z
  .strictObject({
    enable: flag.describe('opt in; a registered service is invisible until it says so'),
    path: oneOrMore(prefix).describe('one or more path prefixes, matched by whole segments, longest first'),
    strip: prefix.or(z.literal('')).describe('what is cut from the front of the path before forwarding'),
    auth: z.enum(['none', 'optional', 'required']).describe('who may pass'),
    scope: z.union([words, z.array(z.string().min(1))]).describe('scopes the token must carry'),
    timeout: duration.describe('whole-request deadline, in milliseconds once parsed'),
    retries: count.describe('further attempts, only where safe'),
    openapi: z
      .union([
        z.literal(false),
        z.literal('false').transform(() => false as const),
        z.string().startsWith('/'),
      ])
      .describe('where the API description is; false for none'),
    inject: z.string().min(1).describe('provider whose token of the caller is forwarded'),
    port: z.union([z.int().min(1).max(65535), z.string().min(1)]).describe('port name or number'),
    protocol: z.enum(['http', 'https']).describe('how the house is spoken to'),
    balance: z.enum(Object.keys(balancingPolicies) as [BalancingPolicyName]).describe('balancing policy'),
  })
  .partial()

/** What a service (or the operator, in gateway.yaml) says of its routes. */
export type Description = Readonly<z.output<typeof descriptionSchema>>
export type DescriptionKey = keyof Description
