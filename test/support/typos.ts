// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders of gateway.yaml look like that

/** A gateway.yaml that makes use of everything; HOUSE_URL is where its service `house` is. */
export const fullFile = `# routes
services:
  house:
    urls: ["\${HOUSE_URL}"]
    path: [/api/house, /api/door, /api/house/me; auth=required; scope=profile]
    strip: /api
    auth: none
    timeout: 5s
    retries: 1
    openapi: false
    enable: true
    balance: p2c
  carts:
    urls:
      - http://127.0.0.1:1
      - http://127.0.0.1:2
    path: &carts /carts
    scope: [carts:read, carts:write]
    inject: google
    port: 8080
    protocol: http
`

export interface Typo {
  readonly what: string
  readonly from: string
  readonly to: string
  /** Where it must be found: `line key`. */
  readonly at: string
}

const typo = (what: string, from: string, to: string, at: string): Typo => ({ what, from, to, at })

export const typos: readonly Typo[] = [
  typo('an unknown key at the top', 'services:\n', 'service:\n', '2 service'),
  typo('an unknown key of a service', 'strip:', 'stirp:', '6 services.house.stirp'),
  typo('an unknown key of a path', 'scope=profile', 'scop=profile', '5 services.house.path[2]'),
  typo('a key in capitals', 'inject:', 'Inject:', '19 services.carts.Inject'),
  typo('a line too far in', '    auth: none', '     auth: none', '7 services.house.auth'),
  typo('a line too far out', '    auth: none', '   auth: none', '7 services.house.auth'),
  typo('a service that is not under services', '  carts:', 'carts:', '13 carts'),
  typo('a tab', '    strip:', '\tstrip:', '6 services.house.strip'),
  typo('a list left open', 'scope=profile]', 'scope=profile', '6 services.house.strip'),
  typo('a quote left open', '"${HOUSE_URL}"', '"${HOUSE_URL}', '4 services.house.urls'),
  typo('a colon left out', 'timeout: 5s', 'timeout 5s', '8 services.house.auth'),
  typo('a space left out after a colon', 'retries: 1', 'retries:1', '9 services.house.timeout'),
  typo('a mapping in a value', 'strip: /api', 'strip: /api: x', '6 services.house.strip'),
  typo('a key twice', 'enable: true', 'auth: required', '11 services.house.auth'),
  typo('a service twice', '  carts:', '  house:', '13 services.house'),
  typo('an alias of nothing', 'scope: [carts', 'strip: *cart\n    scope: [carts', '18 services.carts.strip'),
  typo('a placeholder of nothing', 'HOUSE_URL', 'HOUSE_ULR', '4 services.house.urls[0]'),
  typo('a placeholder without a name', '${HOUSE_URL}', '${}', '4 services.house.urls[0]'),
  typo('an unknown tag', 'port: 8080', 'port: !int8 8080', '20 services.carts.port'),
  typo('a duration without a unit', '5s', '5', '8 services.house.timeout'),
  typo('a duration of nothing', '5s', '0s', '8 services.house.timeout'),
  typo('a path without its slash', '/api/door', 'api/door', '5 services.house.path[1]'),
  typo('a path with a query', '/api/door', '/api/door?x=1', '5 services.house.path[1]'),
  typo('a path that goes up', '/api/door', '/api/../door', '5 services.house.path[1]'),
  typo('a path claimed twice', '&carts /carts', '/api/door', '17 services.carts.path'),
  typo('a URL with a path', ':2\n', ':2/x\n', '16 services.carts.urls[1]'),
  typo('a URL with another scheme', 'http://127.0.0.1:2', 'ftp://127.0.0.1:2', '16 services.carts.urls[1]'),
  typo('a URL with a password', 'http://127.0.0.1:2', 'http://me:pw@a:2', '16 services.carts.urls[1]'),
  typo('a URL twice', '127.0.0.1:2', '127.0.0.1:1', '16 services.carts.urls[1]'),
  typo('an SRV name without DISCOVERY=dns', 'http://127.0.0.1:2', 'srv+http://a', '15 services.carts.urls'),
  typo('a word that is none of the three', 'auth: none', 'auth: nobody', '7 services.house.auth'),
  typo('a word for a number', 'retries: 1', 'retries: once', '9 services.house.retries'),
  typo('a number out of range', 'port: 8080', 'port: 80800', '20 services.carts.port'),
  typo('a number for text', 'inject: google', 'inject: 1', '19 services.carts.inject'),
  typo('a list for a word', 'protocol: http', 'protocol: [http]', '21 services.carts.protocol'),
  typo('a mapping for a list', '[carts:read, carts:write]', '{ read: carts }', '18 services.carts.scope'),
  typo('no value', 'strip: /api', 'strip:', '6 services.house.strip'),
  typo('an unknown policy', 'balance: p2c', 'balance: p2p', '12 services.house.balance'),
  typo('an empty list', '[carts:read, carts:write]', '[]', '18 services.carts.scope'),
]

/** The full file with the typo in it. */
export function mistyped({ what, from, to }: Typo): string {
  // As a function: what is put in may have a $ in it.
  const text = fullFile.replace(from, () => to)
  if (text === fullFile) throw new Error(`${what}: ${from} is not there`)
  return text
}
