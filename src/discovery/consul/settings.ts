import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { SourceInput } from '../source.ts'

/** How to reach a Consul agent. Files are named, not held: they are read again whenever a client is made. */
export interface ConsulOptions {
  /** Without a trailing slash: `http://127.0.0.1:8500`. */
  readonly url: string
  readonly token: string | undefined
  /** Wins over `token`, as it does in Consul's own tools. */
  readonly tokenFile: string | undefined
  readonly datacenter: string | undefined
  /** For following services, the catalog's own among them; 4 at least. */
  readonly maxConnections: number
  readonly tls: {
    readonly verify: boolean
    readonly caFile: string | undefined
    readonly certFile: string | undefined
    readonly keyFile: string | undefined
    readonly serverName: string | undefined
  }
}

/** Consul's own variables, for the documentation and .env.example. */
export const consulVariables = {
  CONSUL_HTTP_ADDR: {
    description: 'the Consul agent: host:port, or an http or https URL',
    secret: false,
    default: '127.0.0.1:8500',
  },
  CONSUL_HTTP_TOKEN: { description: 'the ACL token that Consul is asked with', secret: true, default: '' },
  CONSUL_HTTP_TOKEN_FILE: {
    description: 'a file that holds the ACL token; wins over CONSUL_HTTP_TOKEN and may change',
    secret: false,
    default: '',
  },
  CONSUL_HTTP_SSL: {
    description: 'true to speak TLS where CONSUL_HTTP_ADDR has no scheme',
    secret: false,
    default: 'false',
  },
  CONSUL_HTTP_SSL_VERIFY: {
    description: "false to believe any certificate of the agent's",
    secret: false,
    default: 'true',
  },
  CONSUL_CACERT: {
    description: 'a PEM file of the authorities that may sign the certificate of the agent',
    secret: false,
    default: '',
  },
  CONSUL_CLIENT_CERT: {
    description: 'a PEM file, our certificate for the agent',
    secret: false,
    default: '',
  },
  CONSUL_CLIENT_KEY: {
    description: 'a PEM file, the key of CONSUL_CLIENT_CERT',
    secret: false,
    default: '',
  },
  CONSUL_TLS_SERVER_NAME: {
    description: 'the name that the certificate of the agent must have, where it is not that of the address',
    secret: false,
    default: '',
  },
  CONSUL_DATACENTER: {
    description: "the datacenter that is asked for services; the agent's own by default",
    secret: false,
    default: '',
  },
  CONSUL_MAX_CONNECTIONS: {
    description:
      'connections to the agent for following services, from 4 on; where there are more services they take turns',
    secret: false,
    default: '128',
  },
} as const satisfies Record<string, { description: string; secret: boolean; default: string }>

type Variable = keyof typeof consulVariables

const addressForms = 'expected host:port or an http(s) URL, such as 127.0.0.1:8500'

const address = z.string().superRefine((text, context) => {
  const fault = addressFault(text)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
})

const flag = z.stringbool({ error: 'expected true or false' })

const readableFile = z
  .string()
  .refine((file) => readText(file) !== undefined, { message: 'expected a file that can be read' })

const tokenFile = readableFile.refine((file) => readText(file)?.trim() !== '', {
  message: 'expected a file that holds a token',
})

const connections = z
  .string()
  .refine((text) => /^\d{1,6}$/.test(text) && Number(text) >= 4, 'expected a whole number from 4 to 999999')
  .transform(Number)

const described = <T extends z.ZodType>(name: Variable, type: T): T =>
  type.describe(consulVariables[name].description)

/** Reads the `CONSUL_*` variables; every issue's path ends in the variable's name. */
export const consulSettings: z.ZodType<ConsulOptions, SourceInput> = z
  .object({
    environment: z.object({
      CONSUL_HTTP_ADDR: described('CONSUL_HTTP_ADDR', address).optional(),
      // A header value: anything else would break the request, or worse, shape it (RFC 9110 §5.5).
      CONSUL_HTTP_TOKEN: described(
        'CONSUL_HTTP_TOKEN',
        z.string().regex(/^[\x21-\x7e]+$/, 'expected a token without spaces or control characters'),
      ).optional(),
      CONSUL_HTTP_TOKEN_FILE: described('CONSUL_HTTP_TOKEN_FILE', tokenFile).optional(),
      CONSUL_HTTP_SSL: described('CONSUL_HTTP_SSL', flag).optional(),
      CONSUL_HTTP_SSL_VERIFY: described('CONSUL_HTTP_SSL_VERIFY', flag).optional(),
      CONSUL_CACERT: described('CONSUL_CACERT', readableFile).optional(),
      CONSUL_CLIENT_CERT: described('CONSUL_CLIENT_CERT', readableFile).optional(),
      CONSUL_CLIENT_KEY: described('CONSUL_CLIENT_KEY', readableFile).optional(),
      CONSUL_TLS_SERVER_NAME: described('CONSUL_TLS_SERVER_NAME', z.string()).optional(),
      CONSUL_DATACENTER: described(
        'CONSUL_DATACENTER',
        z.string().regex(/^[A-Za-z0-9_-]+$/, 'expected letters, digits, - and _'),
      ).optional(),
      CONSUL_MAX_CONNECTIONS: described('CONSUL_MAX_CONNECTIONS', connections).optional(),
    }),
    urls: z.custom<SourceInput['urls']>(),
  })
  .superRefine(({ environment }, context) => {
    for (const [given, missing] of [
      ['CONSUL_CLIENT_CERT', 'CONSUL_CLIENT_KEY'],
      ['CONSUL_CLIENT_KEY', 'CONSUL_CLIENT_CERT'],
    ] as const) {
      if (environment[given] === undefined || environment[missing] !== undefined) continue
      const message = `expected a PEM file, since ${given} is set`
      context.addIssue({ code: 'custom', path: ['environment', missing], message })
    }
  })
  .transform(({ environment }) => ({
    url: toUrl(environment.CONSUL_HTTP_ADDR ?? consulVariables.CONSUL_HTTP_ADDR.default, {
      tls: environment.CONSUL_HTTP_SSL ?? false,
    }),
    token: environment.CONSUL_HTTP_TOKEN,
    tokenFile: environment.CONSUL_HTTP_TOKEN_FILE,
    datacenter: environment.CONSUL_DATACENTER,
    maxConnections:
      environment.CONSUL_MAX_CONNECTIONS ?? Number(consulVariables.CONSUL_MAX_CONNECTIONS.default),
    tls: {
      verify: environment.CONSUL_HTTP_SSL_VERIFY ?? true,
      caFile: environment.CONSUL_CACERT,
      certFile: environment.CONSUL_CLIENT_CERT,
      keyFile: environment.CONSUL_CLIENT_KEY,
      serverName: environment.CONSUL_TLS_SERVER_NAME,
    },
  }))

function addressFault(text: string): string | undefined {
  if (/^unix:/i.test(text)) return `${addressForms}; sockets of the file system (unix://) are not supported`
  const hasScheme = text.includes('://')
  if (!hasScheme && !/^(?:[A-Za-z0-9_.-]+|\[[0-9a-f:.]+\]):\d+$/i.test(text)) return addressForms
  const url = URL.parse(hasScheme ? text : `http://${text}`)
  if (url === null || !/^https?:$/.test(url.protocol) || url.port === '0') return addressForms
  if (url.username !== '' || url.password !== '') {
    return 'expected a URL without user information; a token goes into CONSUL_HTTP_TOKEN'
  }
  if (url.search !== '' || url.hash !== '') return 'expected a URL without a query'
  return undefined
}

function toUrl(address: string, { tls }: { tls: boolean }): string {
  const url = new URL(address.includes('://') ? address : `${tls ? 'https' : 'http'}://${address}`)
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
